"""Jobs for workers, and predictors whose decoder can be made to burn time."""

import os
import re
import time
from pathlib import Path

from jointmat.errors import ImageError
from jointmat.predictor import Predictor
from jointmat.serve import jobs
from jointmat.serve.worker import Result
from tests.serve.conftest import Brightness, predictor_of

BURNS = b"BURN"
"""What a file begins with that takes its decoder years."""


def no_predictor():
    """For jobs that need none."""
    return object()


def facts(_, **known):
    return Result(known, {"file": b"content"})


def slow_predictor(path):
    """Takes a minute to load, and leaves a file when it begins."""
    Path(path).touch()
    time.sleep(60)


def wait_for(_, path):
    """Until a file is there."""
    while not Path(path).exists():
        time.sleep(0.01)
    return Result()


def burn(_=None):
    """Years in one call of C that holds Python's lock and sees no signal."""
    re.match("(a+)+$", 60 * "a" + "b")
    return Result()


def die(_):
    os._exit(1)


def refuse(_):
    raise ImageError("image: not an image")


def fail(_):
    raise RuntimeError("secret /srv/model.onnx")


def burning_predictor(backend: Brightness, max_pixels: int) -> Predictor:
    """In a worker: a predictor, and a decoder that `BURNS` takes for years."""

    load = jobs.load

    def load_or_burn(source, **options):
        if source.getvalue().startswith(BURNS):
            burn()
        return load(source, **options)

    jobs.load = load_or_burn
    return predictor_of(backend, max_pixels)
