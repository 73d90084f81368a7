"""Everything that can go wrong, as one tree.

Sam2Error
├── PromptError        (ValueError)   a click, box or mask that cannot be meant as given
├── VideoError         (ValueError)   media that cannot be read, or a frame that is not there
├── CheckpointError    (RuntimeError) weights that cannot be found, fetched, trusted or fitted
├── SessionNotFound    (LookupError)  a session that has ended or never was
├── SessionLimit       (RuntimeError) a bound of the studio was reached
├── ProjectError       (ValueError)   a project file, or a session on disk, that cannot be what it says
├── ProtocolError      (ValueError)   a message from a browser that is not in the protocol
└── Cancelled          (Exception)    work that was stopped on request; what was finished is kept

A message is one sentence or two: what was expected, what came, what to do.
"""

from __future__ import annotations


class Sam2Error(Exception):
    """Base of every error that this project raises on purpose."""


class PromptError(Sam2Error, ValueError):
    """A prompt is out of range, empty or contradictory."""


class VideoError(Sam2Error, ValueError):
    """A video, image or folder cannot be read, or has no such frame."""


class CheckpointError(Sam2Error, RuntimeError):
    """Weights cannot be found, downloaded, trusted, or do not fit the model."""


class SessionNotFound(Sam2Error, LookupError):
    """The session has expired or never existed."""


class SessionLimit(Sam2Error, RuntimeError):
    """A limit on sessions, objects, frames or bytes was reached."""


class ProjectError(Sam2Error, ValueError):
    """A project file or a session on disk is damaged, not one of ours, or beyond all bounds."""


class ProtocolError(Sam2Error, ValueError):
    """A message from the browser is not one that the protocol knows."""


class Cancelled(Sam2Error):
    """Work was stopped on request."""
