"""Project files: saved and opened again, and refused in one sentence where somebody means harm."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.errors import ProjectError, Sam2Error, SessionLimit
from sam2_core.media import open_video
from sam2_core.model import SAM2
from sam2_core.prompts import Box
from sam2_core.rle import Rle
from sam2_core.session import Limits, ModelPool, Session, SessionManager
from sam2_core.session.commands import Choose, EditObject, SetBox, SetMask, Track, Undo
from sam2_core.session.places import size_of
from sam2_core.session.project import ProjectLimits, unpacked_bytes
from sam2_core.tracking import Direction
from sam2_core.weights import load_model
from tests.fakes import fake_model
from tests.session.test_manager import load
from tests.session.working import HERE, THERE, click, session_in, tracked

Members = dict[str, bytes]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SessionManager]:
    made = SessionManager(
        ModelPool(load),
        Limits(log_bytes=10**6, session_bytes=10**6, upload_bytes=10**6, objects=4, prompts=6),
        tmp_path / "root",
    )
    yield made
    made.shut_down()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.gif"
    frames = [Image.new("RGB", (64, 48), (30 * k, 60, 90)) for k in range(6)]
    for k, frame in enumerate(frames):
        frame.paste((255, 0, 0), (4 + 6 * k, 10, 24 + 6 * k, 30))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    return path


def worked(session: Session) -> Session:
    session.do(click(1, 2))
    session.do(Choose(1, 2, 0))
    session.do(EditObject(1, name="the car"))
    session.do(click(2, 3, THERE))
    tracked(session, Track(Direction.FORWARD))
    return session


@pytest.fixture
def saved(manager: SessionManager, clip: Path, tmp_path: Path) -> Path:
    path = tmp_path / "it.zip"
    worked(manager.open(clip, "pocket")).save_project(path)
    return path


def test_a_project_is_opened_as_it_was_saved(manager: SessionManager, clip: Path, saved: Path) -> None:
    before = worked(manager.open(clip, "pocket"))
    clip.unlink()
    after = manager.open_project(saved)
    assert after.document == before.document
    assert (after.video.name, after.model_name) == ("clip.gif", "pocket")
    assert not saved.exists()
    assert after.can_undo
    for session in (before, after):
        session.do(Undo())
        session.do(click(1, 0))
    assert tracked(after) == tracked(before)


def test_a_project_without_its_clip_needs_it(manager: SessionManager, clip: Path, tmp_path: Path) -> None:
    session = worked(manager.open(clip, "pocket"))
    path = tmp_path / "lean.zip"
    elsewhere = clip.rename(tmp_path / "moved.gif")
    session.save_project(path)
    kept = path.read_bytes()
    with pytest.raises(ProjectError, match=r"no clip in it; open it together with 'clip\.gif'"):
        manager.open_project(path)
    path.write_bytes(kept)
    opened = manager.open_project(path, elsewhere)
    assert opened.document == session.document
    opened.touched -= manager.limits.idle_seconds
    manager.sweep()
    assert manager.get(opened.token).document == session.document  # it rested, and finds the clip again


def test_a_full_disk_leaves_no_half_project(
    manager: SessionManager, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, folder = worked(manager.open(clip, "pocket")), tmp_path / "taken home"
    folder.mkdir()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    with pytest.raises(SessionLimit, match="cannot be saved .No space left on device.; make room"):
        session.save_project(folder / "it.zip")
    assert list(folder.iterdir()) == []


def test_work_goes_on_while_a_project_is_saved(
    manager: SessionManager, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, path = worked(manager.open(clip, "pocket")), tmp_path / "it.zip"
    before, writing, may_end = session.document, threading.Event(), threading.Event()
    write = zipfile.ZipFile.writestr

    def slow(self: zipfile.ZipFile, name: str, data: str) -> None:
        write(self, name, data)
        writing.set()
        assert may_end.wait(60)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", slow)
    saving = threading.Thread(target=session.save_project, args=(path,))
    saving.start()
    assert writing.wait(60)
    session.do(click(1, 0))
    tracked(session)
    session.use("other", fake_model())  # whose files are others
    assert session.document != before
    may_end.set()
    saving.join()
    opened = manager.open_project(path)
    assert opened.document == before
    assert opened.model_name == "pocket"


def test_room_is_made_for_what_a_project_unpacks_to(manager: SessionManager, saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    padded = zipped({**members, "masks.bin": members["masks.bin"] + b"\0" * 900_000}, tmp_path / "padded.zip")
    taken = size_of(tmp_path / "root")
    manager.limits = replace(manager.limits, total_bytes=taken + 10 * padded.stat().st_size)
    with pytest.raises(SessionLimit, match="no room for more clips"):
        manager.open_project(padded)
    assert size_of(tmp_path / "root") == taken
    manager.limits = replace(manager.limits, total_bytes=taken + 10**6)
    manager.open_project(zipped({**members, "masks.bin": members["masks.bin"] + b"\0" * 900_000}, padded))


# Hostile files --------------------------------------------------------------------------------------------------------


def zipped(members: Members, path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def record(payload: bytes) -> bytes:
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


def change(number: int, frame: int, step: int, data: bytes, iou: float = 0.5, object_id: int = 1) -> bytes:
    head = struct.pack("<IIbB", number, frame, step, 1)
    return record(head + struct.pack("<BBffI", object_id, 1, iou, 1.0, len(data)) + data)


MODEL = b'{"do": "use_model", "name": "pocket"}\n'
FULL = (64 * 48).to_bytes(4, "little")
HARM: dict[str, tuple[Callable[[Members], Members], str]] = {
    "traversal": (lambda m: {**m, "../../evil.py": b"x"}, "not a project file"),
    "absolute path": (lambda m: {**m, "/etc/passwd": b"x"}, "not a project file"),
    "another member": (lambda m: {**m, "notes.txt": b"x"}, "not a project file"),
    "no log": (lambda m: {k: v for k, v in m.items() if k != "commands.jsonl"}, "not a project file"),
    "bomb in the log": (lambda m: {**m, "commands.jsonl": b"\0" * 50_000_000}, "unpacks to more than 1 MB"),
    "bomb in the masks": (lambda m: {**m, "masks.bin": b"\0" * 50_000_000}, "unpacks to more than 1 MB"),
    "bomb as a clip": (lambda m: {**m, "media": b"\0" * 50_000_000}, "unpacks to more than 1 MB"),
    "pictures beside a clip": (lambda m: {**m, "media/00000.png": b"x"}, "not a project file"),
    "a picture's traversal": (lambda m: {**m, "media/../../evil.py": b"x"}, "not a project file"),
    "bomb of pictures": (
        lambda m: _pictures(m, {f"{k:05d}.png": b"\0" * 300_000 for k in range(9)}),
        "unpacks to more than",
    ),
    "pictures that are none": (lambda m: _pictures(m, {"00000.png": b"x"}), "not a picture"),
    "no clip at all": (lambda m: {**m, "media": b"no video"}, "neither a video"),
    "another format": (lambda m: {**m, "session.json": b'{"format": "word"}'}, "not a session of this program"),
    "header is a list": (lambda m: {**m, "session.json": b"[1, 2]"}, "not a session of this program"),
    "header is no JSON": (lambda m: {**m, "session.json": b"\xff\xfe"}, "not a session of this program"),
    "header is deep": (lambda m: {**m, "session.json": b"[" * 90_000}, "not a session of this program"),
    "wrong types": (lambda m: {**m, "session.json": header(m, frames="6")}, "not a session of this program"),
    "names that are paths": (
        lambda m: {**m, "session.json": header(m, frame_names=["../../x.png"] * 6)},
        "not a session of this program",
    ),
    "too few names": (lambda m: {**m, "session.json": header(m, frame_names=["x.png"])}, "not a session"),
    "names that are none": (lambda m: {**m, "session.json": header(m, frame_names=[1] * 6)}, "not a session"),
    "a number of names": (lambda m: {**m, "session.json": header(m, frame_names=6)}, "not a session"),
    "no frame rate": (lambda m: {**m, "session.json": header(m, fps="fast")}, "not a session of this program"),
    "a frame rate of nothing": (lambda m: {**m, "session.json": header(m, fps=0)}, "not a session of this program"),
    "negative size": (lambda m: {**m, "session.json": header(m, height=-1)}, "not a session of this program"),
    "generation is a path": (lambda m: {**m, "session.json": header(m, generation="../x")}, "not a session"),
    "another clip's size": (lambda m: {**m, "session.json": header(m, width=10**6)}, "is about 6 frames of 1000000"),
    "unknown command": (lambda m: {**m, "commands.jsonl": b'{"do": "exec"}\n'}, "cannot be read"),
    "commands that contradict": (
        lambda m: {**m, "commands.jsonl": MODEL + b'{"do": "remove_object", "object_id": 9}\n', "masks.bin": b""},
        "make no sense here: there is no object 9",
    ),
    "a prompt beyond the clip": (
        lambda m: {
            **m,
            "commands.jsonl": MODEL
            + b'{"do": "add_point", "object_id": 1, "frame_index": 99, "point": [0.5, 0.5, true]}\n',
            "masks.bin": b"",
        },
        "frames 0 to 5; got frame 99",
    ),
    "too many commands": (lambda m: {**m, "commands.jsonl": b'{"do": "undo"}\n' * 60_000}, "at most"),
    "too many records": (lambda m: {**m, "masks.bin": record(b"") * 400}, "at most"),
    "too many objects": (lambda m: commands(m, *(add(k) for k in range(1, 6))), "can be 4 objects at a time"),
    "too many prompts": (lambda m: commands(m, *(point(1, k) for k in range(6)), point(2, 0)), "on 6 frames"),
    "too many clicks": (lambda m: commands(m, *[point(1, 0)] * 101), "100 clicks on a frame"),
    "more runs than pixels": (
        lambda m: {**m, "masks.bin": change(1, 2, 0, b"\0" * 4 * 64 * 48 + FULL + b"\0" * 4)},
        "runs",
    ),
    "an unknown model": (
        lambda m: {**m, "commands.jsonl": b'{"do": "use_model", "name": "evil"}\n', "masks.bin": b""},
        "no model of that name",
    ),
    "runs that do not add up": (lambda m: {**m, "masks.bin": change(1, 2, 0, b"\xff\xff\xff\xff")}, "must add up"),
    "runs that are cut": (lambda m: {**m, "masks.bin": change(1, 2, 0, FULL[:3])}, "4 bytes each"),
    "a mask beyond the clip": (lambda m: {**m, "masks.bin": change(1, 6, 0, FULL)}, "out of range"),
    "a step of 7": (lambda m: {**m, "masks.bin": change(1, 2, 7, FULL)}, "out of range"),
    "not a number": (lambda m: {**m, "masks.bin": change(1, 2, 0, FULL, float("nan"))}, "out of range"),
    "object 0": (lambda m: {**m, "masks.bin": change(1, 2, 0, FULL, object_id=0)}, "out of range"),
    "a record that is too short": (lambda m: {**m, "masks.bin": record(b"\x01")}, "cannot be read"),
}


def commands(members: Members, *lines: str) -> Members:
    return {**members, "commands.jsonl": MODEL + "".join(line + "\n" for line in lines).encode(), "masks.bin": b""}


def add(object_id: int) -> str:
    return json.dumps({"do": "add_object", "object_id": object_id})


def point(object_id: int, frame: int) -> str:
    return json.dumps({"do": "add_point", "object_id": object_id, "frame_index": frame, "point": [0.5, 0.5, True]})


def _pictures(members: Members, pictures: Members) -> Members:
    others = {name: content for name, content in members.items() if name != "media"}
    return others | {f"media/{name}": content for name, content in pictures.items()}


def header(members: Members, **changed: object) -> bytes:
    return json.dumps({**json.loads(members["session.json"]), **changed}).encode()


@pytest.mark.parametrize("kind", HARM)
def test_harm_is_one_sentence(
    kind: str, manager: SessionManager, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sam2_core.session.store.MOST_RECORDS", 300)
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    do_harm, message = HARM[kind]
    path = zipped(do_harm(members), tmp_path / "harm.zip")
    places = sorted((tmp_path / "root").iterdir())
    count = len(manager)
    with pytest.raises(Sam2Error, match=message) as raised:
        manager.open_project(path)
    assert str(tmp_path) not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(manager) == count
    assert sorted((tmp_path / "root").iterdir()) == places
    assert not (tmp_path.parent / "evil.py").exists()


def test_a_list_of_very_many_members_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped({str(k): b"" for k in range(2000)}, tmp_path / "many.zip")
    monkeypatch.setattr("sam2_core.session.project._CHUNK", 20_000)
    monkeypatch.setattr(zipfile.ZipFile, "namelist", lambda _: pytest.fail("it was read"))
    with pytest.raises(ProjectError, match="cannot be read"):
        unpacked_bytes(path, ProjectLimits())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"GIF89a", b"\0" * 10_000])
def test_what_is_no_zip_is_one_sentence(manager: SessionManager, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.zip"
    path.write_bytes(content)
    with pytest.raises(ProjectError, match="damaged or not one of this program's"):
        manager.open_project(path)


def test_a_truncated_or_scribbled_project_is_one_sentence(manager: SessionManager, saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    rng = np.random.default_rng(1)
    for case in range(20):
        data = bytearray(whole)
        if case % 2:
            data = data[: int(rng.integers(len(data)))]
        else:
            for place in rng.integers(len(data), size=8):
                data[place] ^= int(rng.integers(1, 256))
        path = tmp_path / "scribbled.zip"
        path.write_bytes(data)
        with contextlib.suppress(Sam2Error):  # and nothing else
            manager.close(manager.open_project(path).token)


def test_an_encrypted_member_is_one_sentence(manager: SessionManager, saved: Path, tmp_path: Path) -> None:
    data = bytearray(saved.read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            data[member.header_offset + 6] |= 1
    central = data.find(b"PK\x01\x02")
    while central >= 0:
        data[central + 8] |= 1
        central = data.find(b"PK\x01\x02", central + 4)
    path = tmp_path / "locked.zip"
    path.write_bytes(data)
    with pytest.raises(ProjectError, match="cannot be read"):
        manager.open_project(path)


# The script -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "threads"), [(torch.float32, 1), (torch.bfloat16, 2)])
def test_the_script_does_it_all_again(precision: torch.dtype, threads: int, clip: Path, tmp_path: Path) -> None:
    """In the number type and with the threads of the session, which the page chooses to suit the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        _check_script(load_model("pocket").to_precision(precision), clip, tmp_path)
    finally:
        torch.set_num_threads(before)


def _check_script(model: SAM2, clip: Path, tmp_path: Path) -> None:
    square = np.zeros((48, 64), bool)
    square[10:30, 4:24] = True
    with Session.alone(open_video(clip), "pocket", model) as session:
        session.do(click(1, 2, HERE))
        job = session.track()
        while not job.progress.done and not job.over:
            time.sleep(0.001)
        job.cancel()
        job.wait()
        session.do(SetMask(2, 1, Rle.encode(square)))
        session.do(click(1, 0, THERE))
        session.do(Undo())
        tracked(session)
        script, expected = session.script(str(clip)), session.document.results()
    (tmp_path / "again.py").write_text(script)
    subprocess.run([sys.executable, "again.py"], cwd=tmp_path, check=True, env=_environment())
    for result in expected:
        labels = np.asarray(Image.open(tmp_path / f"masklets/masks/{result.frame_index:05d}.png"))
        for mask in reversed(result.objects):
            shown = mask.mask.decode()
            if mask.object_id == 1:
                assert np.array_equal(labels == 1, shown)
            else:
                assert np.array_equal(labels == 2, shown & (labels != 1))


def test_tracking_that_was_cancelled_is_done_again_as_far_as_it_got(tmp_path: Path) -> None:
    square = np.zeros((24, 32), bool)
    square[4:12, 20:28] = True
    with session_in(tmp_path / "one") as first, session_in(tmp_path / "other") as again:
        first.do(click(1, 4))
        first.do(SetBox(2, 10, Box(0.2, 0.2, 0.6, 0.7)))
        job = first.track()
        while job.progress.done < 3 and not job.over:
            time.sleep(0)
        job.cancel()
        job.wait()
        first.do(SetMask(3, 7, Rle.encode(square)))
        tracked(first)
        first.do(click(1, 12, THERE))
        tracked(first)
        for command in first._editor.in_force():
            again.do(command)
            again.wait_for_job()
        assert again.document == first.document


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_script_has_no_path_of_this_machine(manager: SessionManager, clip: Path, tmp_path: Path) -> None:
    session = worked(manager.open(clip, "pocket"))
    script = session.script()
    assert str(tmp_path) not in script
    assert "frames=4" in script
    compile(script, "script", "exec")
