"""The static page cuts out a photo in a real browser, with the alpha that Python computes."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jointmat.assets import PORTRAIT
from jointmat.predictor import predict

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("mkdocs")

from docs import hooks
from tests.serve.browser import chromium

ROOT = Path(__file__).parents[2]
PATIENCE = 120_000


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page as `make docs` lays it out, at an address of this machine."""
    site = tmp_path_factory.mktemp("site")
    demo = site / "demo"
    demo.mkdir()
    for path in (ROOT / "docs" / "demo").iterdir():
        (demo / path.name).write_bytes(path.read_bytes())
    hooks.on_post_build({"site_dir": str(site)})
    if not (demo / "ort.wasm.min.mjs").is_file():
        pytest.skip("onnxruntime-web is not installed: npm install --prefix export/node")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/demo/"
        server.shutdown()


@pytest.fixture(scope="module")
def page(address):
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.outside, page.mistakes = [], []
        page.on("request", lambda request: page.outside.append(request.url))
        page.on("pageerror", lambda error: page.mistakes.append(str(error)))
        page.goto(address)
        sync_api.expect(page.get_by_role("status")).to_have_text("Ready.", timeout=PATIENCE)
        yield page


def test_a_photo_becomes_a_cutout(page, address, tmp_path):
    page.get_by_label("Choose a photo").set_input_files(str(PORTRAIT))
    sync_api.expect(page.get_by_role("status")).to_contain_text("Done: 512×512", timeout=PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    assert download.value.suggested_filename == "astronaut-cutout.png"
    download.value.save_as(tmp_path / "cutout.png")
    found = np.asarray(Image.open(tmp_path / "cutout.png"))
    alpha = predict(PORTRAIT)
    assert found.shape == (512, 512, 4)
    assert np.abs(found[..., 3] / 255 - alpha).mean() < 0.01
    sure = alpha > 0.999  # where the colours are those of the photo
    assert np.abs(found[sure, :3].astype(int) - np.asarray(Image.open(PORTRAIT))[sure]).mean() < 3
    assert not page.mistakes
    assert all(url.startswith((address.removesuffix("demo/"), "blob:")) for url in page.outside)


def test_a_background_is_put_behind(page, tmp_path):
    page.get_by_label("White").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    download.value.save_as(tmp_path / "white.png")
    assert Image.open(tmp_path / "white.png").convert("RGBA").getpixel((5, 5)) == (255, 255, 255, 255)


def test_a_file_that_is_no_image_is_refused_in_words(page, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    page.get_by_label("Choose a photo").set_input_files(str(tmp_path / "notes.txt"))
    sync_api.expect(page.get_by_role("status")).to_contain_text("notes.txt is not an image", timeout=PATIENCE)
