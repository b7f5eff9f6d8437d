"""Load on a server of this machine, started for it: what it gets done, how long that takes, what memory it keeps.

python -m tests.serve.load --clients 32 --seconds 60
python -m tests.serve.load --clients 8 --requests 10000 --side 64
python -m tests.serve.load --clients 8 --hostile
"""

import asyncio
import itertools
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx

from jointmat.cli.errors import SomeFailed, run
from jointmat.io.image import load_image
from jointmat.io.write import encode_image
from jointmat.preprocess import plan
from tests.serve import costly
from tests.serve.host import ROOT, address, free_port, started

PHOTO = ROOT / "jointmat" / "assets" / "astronaut.jpg"
_MEMORY = re.compile(r"^jointmat_resident_bytes (\S+)$", re.MULTILINE)
_SAMPLE_SECONDS = 0.5
_MEGA = 1_000_000


@dataclass
class Result:
    """Figures of one run. Seconds are those of answers with an image; memory is the server's resident bytes."""

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    """answers with 503"""
    errors: Counter[str] = field(default_factory=Counter)
    hostile: Counter[str] = field(default_factory=Counter)
    """answers to costly files, by status and file"""
    memory: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    """seconds that /healthz took"""
    elapsed: float = 0.0

    @property
    def growth(self) -> float:
        """Median of the last quarter of the samples over that of the first."""
        quarter = max(1, len(self.memory) // 4)
        return statistics.median(self.memory[-quarter:]) - statistics.median(self.memory[:quarter])

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        p50, p95 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95))
        answers = len(ordered) + self.busy + self.errors.total()
        return (
            f"{len(ordered)} images in {self.elapsed:.1f} s, {len(ordered) / self.elapsed:.1f} images/s; "
            f"of {answers} answers {self.busy} were 503, {self.errors.total()} errors\n"
            f"an image took p50 {1000 * p50:.0f} ms, p95 {1000 * p95:.0f} ms, at most {1000 * ordered[-1]:.0f}\n"
            f"memory {self.memory[0] / _MEGA:.0f} MB at first, at most {max(self.memory) / _MEGA:.0f}, "
            f"{self.memory[-1] / _MEGA:.0f} at last; last quarter over first: {self.growth / _MEGA:+.1f} MB\n"
            f"/healthz took at most {1000 * max(self.health, default=0):.0f} ms, of {len(self.health)} times"
        )

    def check(self, most_growth: float) -> None:
        """Raise for an error other than 503, for memory that grew, and for no image at all."""
        if self.errors:
            (error, count), *_ = self.errors.most_common(1)
            raise SomeFailed(f"{self.errors.total()} errors, {count} of them: {error}")
        if not self.seconds:
            raise SomeFailed("not one image was answered")
        if self.growth > most_growth:
            raise SomeFailed(f"memory grew by {self.growth / _MEGA:.1f} MB, expected {most_growth / _MEGA:g}")


class Clients:
    """Several at once; each asks for its next image when it has got one, or when a busy server tells it to."""

    def __init__(self, http: httpx.AsyncClient, path: str, photo: bytes, count: int, metrics: str):
        self._http, self._path, self._count, self._metrics = http, path, count, metrics
        self._photo = self._form(photo)

    async def ask(
        self, *, images: int | None = None, seconds: float | None = None, hostile: bool = False
    ) -> Result:
        """Until there are so many images, or so much time has passed; beside a hostile client if wanted."""
        result = Result()
        numbers = itertools.count() if images is None else iter(range(images))
        costly_forms = {name: self._form(make()) for name, make in costly.FILES.items()} if hostile else {}
        start = time.perf_counter()
        beside = [asyncio.ensure_future(self._sample(result))]
        if hostile:
            beside.append(asyncio.ensure_future(self._harass(costly_forms, result)))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._one(numbers, result) for _ in range(self._count)))
        result.elapsed = time.perf_counter() - start
        for task in beside:
            task.cancel()
        result.memory.append(await self._memory())
        return result

    async def _harass(self, forms: dict[str, dict[str, Any]], result: Result) -> None:
        """Send one costly file after the other, for ever; what comes back is for their sender alone."""
        for name, form in itertools.cycle(forms.items()):
            answer = await self._http.post(self._path, **form)
            result.hostile[f"{answer.status_code} {name}"] += 1

    def _form(self, photo: bytes) -> dict[str, Any]:
        """Encoded once, for that takes time in which no other client would be heard."""
        request = self._http.build_request("POST", self._path, files={"image": photo})
        return {"content": request.read(), "headers": request.headers}

    async def _one(self, numbers: Iterator[int], result: Result) -> None:
        for _ in numbers:
            while (wait := await self._image(result)) is not None:
                await asyncio.sleep(wait)

    async def _image(self, result: Result) -> float | None:
        """Ask once; seconds to wait before the next try if the server is busy."""
        start = time.perf_counter()
        try:
            answer = await self._http.post(self._path, **self._photo)
        except httpx.HTTPError as error:
            result.errors[repr(error)] += 1
            return None
        if answer.status_code == 503:
            result.busy += 1
            return float(answer.headers["Retry-After"])
        if answer.status_code == 200:
            result.seconds.append(time.perf_counter() - start)
        else:
            result.errors[f"{answer.status_code} {answer.text[:200]}"] += 1
        return None

    async def _sample(self, result: Result) -> None:
        while True:
            result.memory.append(await self._memory())
            start = time.perf_counter()
            (await self._http.get("healthz")).raise_for_status()
            result.health.append(time.perf_counter() - start)
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _memory(self) -> float:
        found = _MEMORY.search((await self._http.get(self._metrics)).text)
        assert found, "/metrics shows no memory: it does so on Linux alone"
        return float(found[1])


@click.command(context_settings={"show_default": True})
@click.option("--clients", type=click.IntRange(min=1), default=32, help="At once.")
@click.option("--seconds", type=click.FloatRange(min=1), help="How long; 60 unless --requests is given.")
@click.option("--requests", type=click.IntRange(min=1), help="How many images, instead of --seconds.")
@click.option("--warm-up", type=click.IntRange(min=1), default=200, help="Images before memory is looked at.")
@click.option("--path", default="v1/cutout")
@click.option("--photo", type=click.Path(path_type=Path), default=PHOTO, show_default="the astronaut")
@click.option("--side", type=click.IntRange(min=1), help="Long side that the photo is reduced to, pixels.")
@click.option("--growth", default=20.0, help="Megabytes that memory may grow by.")
@click.option("--hostile", is_flag=True, help="Beside a client that sends costly files.")
@click.option("--model", default="lite", help="Model that the server uses.")
def load(
    clients: int,
    seconds: float | None,
    requests: int | None,
    warm_up: int,
    path: str,
    photo: Path,
    side: int | None,
    growth: float,
    hostile: bool,
    model: str,
) -> None:
    """Start a server, and ask it for images. Fails for any error but 503, and if memory grows."""
    data = _reduced(photo, side) if side else photo.read_bytes()
    bounds = {"images": requests} if requests else {"seconds": seconds or 60.0}

    async def asked(home: str) -> Result:
        # Connections are left alone before the server, after 5 s, hangs up on them.
        limits = httpx.Limits(keepalive_expiry=2)
        async with httpx.AsyncClient(base_url=home, timeout=120, limits=limits) as http:
            many = Clients(http, path, data, clients, f"http://127.0.0.1:{port}/metrics")
            (await many.ask(images=warm_up)).check(float("inf"))
            result = await many.ask(**bounds, hostile=hostile)
            server.terminate()  # in the midst of what is still being worked on
            return result

    port = free_port()
    with started("--model", model, "--metrics-port", str(port), "--log-level", "warning", stderr=None) as server:
        try:
            result = asyncio.run(asked(address(server)))
            start = time.perf_counter()
            server.wait(120)
            stopped = time.perf_counter() - start
        finally:
            server.kill()
    click.echo(f"{clients} clients, {path}, {len(data)} bytes each")
    if result.seconds:
        click.echo(result)
    click.echo(f"SIGTERM ended the server in {stopped:.1f} s")
    for line, count in sorted(result.hostile.items()):
        click.echo(f"hostile: {count} × {line}")
    result.check(growth * _MEGA)


def _reduced(photo: Path, side: int) -> bytes:
    import cv2

    pixels = load_image(photo)
    height, width = plan(pixels.shape[:2], side, 1).resized
    return encode_image(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), "jpg")


if __name__ == "__main__":
    run(load)
