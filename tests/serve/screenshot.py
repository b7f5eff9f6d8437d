"""The screenshot in docs/server.md: `python -m tests.serve.screenshot docs/images/demo.jpg`."""

import re
from functools import partial
from pathlib import Path

import click
from playwright.sync_api import expect

from jointmat.cli.errors import run
from jointmat.io.atomic import atomic_write
from jointmat.serve.app import create_app
from jointmat.serve.limits import Limits
from jointmat.serve.worker import load_predictor
from tests.serve.browser import chromium
from tests.serve.host import hosted

_SIZE = {"width": 1280, "height": 800}
_QUALITY = 88


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
def screenshot(output: Path) -> None:
    """Write a JPEG of the page with the sample's composite."""
    limits = Limits()
    load = partial(load_predictor, model="lite", max_pixels=limits.pixels)
    with hosted(create_app(load, limits)) as port, chromium() as browser:
        page = browser.new_page(viewport=_SIZE, color_scheme="light", reduced_motion="reduce")
        page.goto(f"http://127.0.0.1:{port}/", wait_until="load")
        page.get_by_role("button", name="Try the sample").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("^Done"), timeout=60_000)
        page.get_by_text("Sunset", exact=True).click()
        page.get_by_role("button", name="Compare").click()
        image = page.screenshot(type="jpeg", quality=_QUALITY)
    with atomic_write(output) as file:
        file.write(image)
    click.echo(f"{output}: {len(image) / 1000:.0f} kB")


if __name__ == "__main__":
    run(screenshot)
