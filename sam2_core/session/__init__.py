"""Work in progress of the people at the studio: one session per clip that is open, and one manager for all of them."""

from sam2_core.session.manager import Limits, SessionManager
from sam2_core.session.models import ModelPool
from sam2_core.session.session import Session, TrackStep

__all__ = ["Limits", "ModelPool", "Session", "SessionManager", "TrackStep"]
