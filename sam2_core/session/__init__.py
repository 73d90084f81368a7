"""Work in progress of the people at the studio: one session per clip that is open, and one manager for all of them."""

from sam2_core.session.job import Job, JobStatus, Progress
from sam2_core.session.limits import Limits
from sam2_core.session.manager import SessionManager
from sam2_core.session.models import ModelPool
from sam2_core.session.session import Session

__all__ = ["Job", "JobStatus", "Limits", "ModelPool", "Progress", "Session", "SessionManager"]
