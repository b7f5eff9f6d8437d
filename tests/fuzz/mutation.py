"""Mutations of files, each a function of its seed and number alone, so that a finding can be made again."""

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator

_NUMBERS = (0, 1, 2, 3, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_MOST_BYTES = 1 << 20


def mutated(seed: bytes, number: int) -> bytes:
    """Some edits of a file: bits, numbers, pieces cut out, doubled or moved, a tail cut off."""
    rng = random.Random(number)
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        # Most of what a parser trusts stands at the start.
        at = rng.randrange(min(len(data), rng.choice((64, 1024, len(data)))))
        size = rng.choice((1, 2, 4, 16, 256))
        edit = rng.randrange(6)
        if edit == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif edit == 1:
            width = rng.choice((1, 2, 4))
            value = rng.choice(_NUMBERS) & ((1 << 8 * width) - 1)
            data[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))
        elif edit == 2:
            del data[at : at + size]
        elif edit == 3:
            data[at:at] = data[at : at + size] * rng.choice((1, 2, 100))
        elif edit == 4:
            data[at : at + size] = rng.randbytes(size)
        else:
            del data[rng.randrange(len(data)) :]
    return bytes(data[:_MOST_BYTES])


def findings(
    target: Callable[[bytes], object], seeds: Iterable[bytes], numbers: Iterable[int], allowed: type[Exception]
) -> Iterator[tuple[int, bytes, Exception]]:
    """Feed mutations to a target; yield the number, input and error of each that is none of `allowed`."""
    seeds = list(seeds)
    for number in numbers:
        data = mutated(seeds[number % len(seeds)], number)
        try:
            target(data)
        except allowed:
            pass
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            yield number, data, error


def numbers_for(seconds: float, start: int = 0) -> Iterator[int]:
    """Numbers from `start` until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield start
        start += 1
    print(f"{start} inputs", file=sys.stderr)
