"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to: what is there when the block ends well becomes ``path``.

    Otherwise nothing is left behind, and what was at ``path`` before is as it was.
    """
    # Its own name each time, because two may write the same file at once.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
