"""Stages that work at the same time, each in a thread of its own, with a short line between them."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 0.1  # seconds between two looks at whether anybody still waits for the next item


class Ahead(Iterator[T], Generic[T]):
    """Runs an iterator in a thread, at most `size` items ahead of whoever takes them.

    Order is kept, memory is bounded, and what the iterator raises is raised where the item would have come. To be
    closed when it is not taken to its end.
    """

    def __init__(self, source: Iterable[T], size: int = 2):
        self._line: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(size)
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, args=(source,), daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        is_item, value = self._line.get()
        if is_item:
            return value  # type: ignore[return-value]
        self._ended = True
        if isinstance(value, BaseException):
            raise value
        raise StopIteration

    def close(self) -> None:
        """Stop after the item that is being made, and wait for that."""
        self._ended = True
        self._closed.set()
        self._thread.join()

    def _run(self, source: Iterable[T]) -> None:
        try:
            for item in source:
                if not self._put((True, item)):
                    break
            else:
                self._put((False, None))
        except BaseException as error:  # noqa: BLE001 (it is raised in the thread that waits)
            self._put((False, error))
        finally:
            if isinstance(source, Generator):
                source.close()

    def _put(self, entry: tuple[bool, T | BaseException | None]) -> bool:
        while not self._closed.is_set():
            try:
                self._line.put(entry, timeout=_PATIENCE)
            except queue.Full:
                continue
            return True
        return False
