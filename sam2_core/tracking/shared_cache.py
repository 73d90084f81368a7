"""Memory that several owners share: what was used longest ago goes first, whosesoever it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class SharedCache(Generic[_Value]):
    """Values of several owners by number, up to so many bytes in all; from any thread.

    An owner is told from others by identity; a plain ``object()`` will do. The value that was kept last stays, whatever
    its size, and so do those that take nothing.

    Args:
        most_bytes: of all values together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[object, int], tuple[_Value, int]] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """What all values take."""
        return self._nbytes

    def get(self, owner: object, number: int) -> _Value | None:
        """The value, which counts as used; ``None`` where it is not here any more."""
        with self._lock:
            found = self._kept.get((owner, number))
            if found is None:
                return None
            self._kept.move_to_end((owner, number))
            return found[0]

    def keep(self, owner: object, number: int, value: _Value, nbytes: int) -> None:
        """Keep a value, in place of an earlier one of this number."""
        with self._lock:
            newest = owner, number
            self._pop(newest)
            self._kept[newest] = value, nbytes
            self._nbytes += nbytes
            while self._nbytes > self._most_bytes:
                oldest = next(key for key, (_, taken) in self._kept.items() if taken)
                if oldest == newest:
                    return
                self._pop(oldest)

    def drop(self, owner: object, number: int) -> None:
        """Forget a value, if it is here."""
        with self._lock:
            self._pop((owner, number))

    def drop_all(self, owner: object) -> None:
        """Forget all values of an owner."""
        with self._lock:
            for key in [key for key in self._kept if key[0] is owner]:
                self._pop(key)

    def sizes(self, owner: object) -> dict[int, int]:
        """Bytes by number of what is here for an owner."""
        with self._lock:
            return {number: nbytes for (each, number), (_, nbytes) in self._kept.items() if each is owner}

    def share(self, owner: object) -> int:
        """Bytes for each, if those who have something here and this one had equally much."""
        with self._lock:
            return self._most_bytes // len({owner, *(each for each, _ in self._kept)})

    def _pop(self, key: tuple[object, int]) -> None:
        _, nbytes = self._kept.pop(key, (None, 0))
        self._nbytes -= nbytes
