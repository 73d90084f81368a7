"""Masks in and out: what other programs, and people, read and write."""

from sam2_core.formats.mask_file import read_mask
from sam2_core.formats.results_folder import ResultsFolder

__all__ = ["ResultsFolder", "read_mask"]
