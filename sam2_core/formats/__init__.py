"""Masks in and out: what other programs, and people, read and write."""

from sam2_core.formats.annotation import AnnotatedObject, Annotation
from sam2_core.formats.exports import EXPORTS, Export, exports_for, find_export
from sam2_core.formats.imports import import_masks
from sam2_core.formats.mask_file import read_mask
from sam2_core.formats.results_folder import ResultsFolder

__all__ = [
    "EXPORTS",
    "AnnotatedObject",
    "Annotation",
    "Export",
    "ResultsFolder",
    "exports_for",
    "find_export",
    "import_masks",
    "read_mask",
]
