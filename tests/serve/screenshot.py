"""The screenshot in docs/server.md: `python -m tests.serve.screenshot docs/images/demo.jpg`."""

import re
from pathlib import Path

import click
from playwright.sync_api import expect

from jointmat.cli.errors import run
from jointmat.io.atomic import atomic_write
from jointmat.predictor import Predictor
from jointmat.serve.app import create_app
from tests.serve.browser import chromium
from tests.serve.host import hosted

_SIZE = {"width": 1180, "height": 760}
_QUALITY = 88


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
def screenshot(output: Path) -> None:
    """Write a JPEG of the page with the sample's composite."""
    with hosted(create_app(Predictor("lite"))) as port, chromium() as browser:
        page = browser.new_page(viewport=_SIZE, color_scheme="light")
        page.goto(f"http://127.0.0.1:{port}/", wait_until="networkidle")
        page.get_by_role("button", name="Try the sample").click()
        # Without the time, so that the picture changes only with the page.
        status = page.get_by_role("status")
        expect(status).to_have_text(re.compile("ready in"), timeout=60_000)
        status.evaluate("line => line.textContent = 'Composite ready.'")
        picture = page.screenshot(type="jpeg", quality=_QUALITY)
    with atomic_write(output) as file:
        file.write(picture)
    click.echo(f"{output}: {len(picture) / 1000:.0f} kB")


if __name__ == "__main__":
    run(screenshot)
