"""What was worked out before, kept in memory while it is valid, up to a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, cast
from weakref import WeakValueDictionary

_MOST_BYTES: Final = 64 << 20
_USUAL_BYTES: Final = 16 << 10
"""Size of what does not say its own, about: a result, a run."""


class Cache:
    """Keep the values that were used last; of a key, the one of its last validator.

    Parameters
    ----------
    most_bytes : int
        Size of all values.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._size = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Hashable, int, Any]] = OrderedDict()
        self._making: WeakValueDictionary[Hashable, _Making] = WeakValueDictionary()

    def find(self, key: Hashable, validator: Hashable) -> Any:  # noqa: ANN401 - what was put
        """Return a value that is kept and valid, else None."""
        kept = self._kept(key, validator)
        return None if kept is None else kept[2]

    def get[T](self, key: Hashable, validator: Hashable, make: Callable[[], T]) -> T:
        """Return a value, worked out again if its validator is another one now.

        Parameters
        ----------
        key : hashable
            Names the value.
        validator : hashable
            Equal as long as the value is valid; taken before the value is worked out.
        make : callable
            Works it out.
        """
        kept = self._kept(key, validator)
        if kept is not None:
            return cast("T", kept[2])
        value = make()
        self.put(key, validator, value)
        return value

    def get_once[T](self, key: Hashable, validator: Hashable, make: Callable[[], T]) -> T:
        """Return a value as `get`; threads that ask for the same key at once wait for one of them.

        Not for the thread of an event loop: it would wait, too.
        """
        with self._lock:
            making = self._making.setdefault(key, _Making())
        with making.lock:
            return self.get(key, validator, make)

    def put(self, key: Hashable, validator: Hashable, value: object) -> None:
        """Keep a value, in place of what is the longest unused."""
        size = _size(value)
        with self._lock:
            self._size += size - self._values.pop(key, (None, 0, None))[1]
            self._values[key] = validator, size, value
            while self._size > self._most:
                self._size -= self._values.popitem(last=False)[1][1]

    def _kept(self, key: Hashable, validator: Hashable) -> tuple[Hashable, int, Any] | None:
        with self._lock:
            kept = self._values.get(key)
            if kept is None or kept[0] != validator:
                return None
            self._values.move_to_end(key)
            return kept


class _Making:
    """Held while the value of a key is worked out."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _size(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_size, value))
    if isinstance(value, bytes):
        return len(value)
    # Arrays, and tables of them.
    return int(getattr(value, "nbytes", _USUAL_BYTES))
