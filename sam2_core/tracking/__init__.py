"""From prompts to masklets: the memory bank, the policies that read it, and the tracker."""

from sam2_core.tracking.behaviour import OFFICIAL, STUDIO, Behaviour
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker

__all__ = ["OFFICIAL", "STUDIO", "Behaviour", "Direction", "Tracker"]
