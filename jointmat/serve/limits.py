"""All limits of the server, in one place."""

import math
from dataclasses import dataclass

from jointmat.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Bounds of one server process.

    Memory is at most what the process takes by itself, plus `held_bytes` of uploads and answers, plus what
    `workers` photos of `pixels` need while they are worked on, plus some 0.2 MB for each of `connections`; photos
    that wait are not decoded yet.
    """

    body_bytes: int = 20_000_000
    """of one request, everything in its body counted"""
    held_bytes: int = 260_000_000
    """of all requests that are being received, wait, or are worked on, and of all images that are being sent,
    which take up to 4 for each of their pixels"""
    pixels: int = 25_000_000
    """of one photo or background"""
    workers: int = 1
    """photos worked on at the same time; the network uses every core for one already"""
    waiting: int = 16
    """photos in line for a worker; more are sent away with 503"""
    head_seconds: float = 10.0
    """for a request's head to arrive; its connection is closed then, by `jointmat serve`"""
    upload_seconds: float = 30.0
    """for a request's body to arrive"""
    deadline_seconds: float = 30.0
    """from a photo's arrival to its result, waiting counted; see `work_seconds`"""
    answer_seconds: float = 60.0
    """for a client to take its image; it is cut off then"""
    kept_photos: int = 64
    """that are kept for their clients to come back to; the one that was not used for longest makes room"""
    kept_bytes: int = 400_000_000
    """of all photos that are kept, with their mattes"""
    keep_seconds: float = 600.0
    """after a photo was last used"""
    connections: int = 500
    """at once, idle ones counted; requests on further ones are answered with 503, by `jointmat serve`"""

    def work_seconds(self, pixels: int) -> float:
        """Time limit for the work on a photo once a worker has begun: two fifths of the deadline for a small
        one, three for the largest. The rest of the deadline is for waiting."""
        return self.deadline_seconds * (0.4 + 0.2 * min(1.0, pixels / self.pixels))

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            if not 0 <= number < math.inf or (number == 0 and name != "waiting"):
                raise InputError(f"{name}={number}: expected more than 0, and finite")
        if self.held_bytes < self.body_bytes:
            raise InputError(f"held_bytes={self.held_bytes}: expected at least body_bytes={self.body_bytes}")
