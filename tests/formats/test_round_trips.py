"""What is exported is imported again, bit by bit."""

import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from sam2_core.formats import EXPORTS, Annotation, import_masks
from sam2_core.rle import Rle
from tests.formats.annotations import annotation_of, annotations, blank_video, visible

few = settings(max_examples=40, deadline=None)


def there_and_back(annotation: Annotation, name: str) -> dict[int, dict[int, Rle]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / EXPORTS[name].file_name(annotation)
        EXPORTS[name].write(annotation, path)
        assert [each.name for each in Path(folder).iterdir()] == [path.name]
        return import_masks(path, annotation.video)


@pytest.mark.parametrize("name", ["masks", "coco", "sav"])
@few
@given(annotation=annotations())
def test_formats_that_keep_overlaps(name: str, annotation: Annotation) -> None:
    assert there_and_back(annotation, name) == visible(annotation)


@few
@given(annotation=annotations(overlapping=False))
def test_palettes_keep_all_but_overlaps(annotation: Annotation) -> None:
    assert there_and_back(annotation, "davis") == visible(annotation)


@few
@given(annotation=annotations())
def test_polygons_are_exact_and_classes_become_objects(annotation: Annotation) -> None:
    number = {each.object_id: place for place, each in enumerate(annotation.objects, start=1)}
    expected = {number[object_id]: masklet for object_id, masklet in visible(annotation).items()}
    assert there_and_back(annotation, "yolo") == expected


@pytest.mark.parametrize("name", ["masks", "davis", "yolo"])
def test_a_folder_is_as_good_as_a_zip(name: str, tmp_path: Path) -> None:
    video = blank_video(3, 4, 5)
    pixels = video[0][..., 0] > 0
    pixels[1:3, 2:4] = False
    annotation = annotation_of(video, {1: {0: pixels, 2: ~pixels}})
    EXPORTS[name].write(annotation, tmp_path / "masks.zip")
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        archive.extractall(tmp_path / "folder")
    (tmp_path / "folder" / ".DS_Store").write_text("not a mask")
    assert import_masks(tmp_path / "folder", video) == visible(annotation)


def test_a_picture_comes_back(tmp_path: Path) -> None:
    frame = blank_video(1, 4, 5)[0]
    for name in ("masks", "davis", "coco", "sav", "yolo"):
        annotation = annotation_of(blank_video(1, 4, 5), {1: {0: frame[..., 0] > 0}})
        EXPORTS[name].write(annotation, tmp_path / name)
        assert import_masks(tmp_path / name, annotation.video) == visible(annotation)
