"""Photos that are kept in memory for some minutes, so that a client sends each only once."""

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem
from jointmat.serve.worker import Result
from jointmat.subject import Subject

_NAME_BYTES = 16


@dataclass
class Kept:
    """A photo and its results."""

    image: bytes
    """the file as it was sent"""
    subject: Subject
    fill_holes: bool
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """planes as PNG; `base` is the trimap that strokes are painted over"""

    def take(self, result: Result) -> None:
        self.facts, self.files = result.facts, result.files

    @property
    def size(self) -> int:
        return len(self.image) + sum(map(len, self.files.values()))


class Photos:
    """The photos that are kept, by names that cannot be guessed.

    The one that was not used for longest makes room for another; each goes by itself after some time without use.
    All methods belong to the event loop's thread.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._photos: OrderedDict[str, Kept] = OrderedDict()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def count(self) -> int:
        return len(self._photos)

    @property
    def size(self) -> int:
        return sum(photo.size for photo in self._photos.values())

    def add(self, photo: Kept) -> str:
        """Its name; Problem 413 if it alone is larger than all may be."""
        name = secrets.token_urlsafe(_NAME_BYTES)
        self._photos[name] = photo
        self._make_room(name)
        self._use(name)
        return name

    def get(self, name: str) -> Kept:
        """Problem 404 if there is none of this name, any more."""
        photo = self._photos.get(name)
        if photo is None:
            minutes = f"{self._limits.keep_seconds / 60:g} min"
            raise Problem(
                404, f"photo: there is none of this name; unused ones are kept for {minutes}: send it again"
            )
        self._use(name)
        return photo

    def change(self, name: str, result: Result) -> Kept:
        """Put other planes in place of a photo's; errors of `add` and `get`."""
        photo = self.get(name)
        photo.take(result)
        self._make_room(name)
        return photo

    def remove(self, name: str) -> None:
        self._photos.pop(name, None)
        if timer := self._timers.pop(name, None):
            timer.cancel()

    def clear(self) -> None:
        for name in list(self._photos):
            self.remove(name)

    def _use(self, name: str) -> None:
        self._photos.move_to_end(name)
        if timer := self._timers.pop(name, None):
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(self._limits.keep_seconds, self.remove, name)

    def _make_room(self, name: str) -> None:
        size = self._photos[name].size
        if size > self._limits.kept_bytes:
            self.remove(name)
            limit = f"{self._limits.kept_bytes / 1e6:.0f} MB"
            raise Problem(
                413,
                f"image: its matte takes {size / 1e6:.0f} MB, no more than {limit} are kept: send a smaller one",
            )
        while self.size > self._limits.kept_bytes or self.count > self._limits.kept_photos:
            self.remove(next(iter(self._photos)))
