"""The page without a server, in a real browser: the same page, with the alpha that Python computes."""

import functools
import io
import json
import re
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from export.page import RUNTIME, export_page
from jointmat.assets import PORTRAIT
from jointmat.errors import ExportError
from jointmat.predictor import Predictor

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

from tests.serve.browser import EXECUTABLE, chromium

pytestmark = pytest.mark.skipif(
    EXECUTABLE is None or not RUNTIME.is_dir(),
    reason="needs Chromium, and onnxruntime-web: npm install --prefix export/node",
)
PATIENCE = 120_000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def hosted(folder):
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    list(export_page("lite", folder))
    with hosted(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(PATIENCE)
    requests, wrong = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    yield page
    assert wrong == []
    assert all(url.startswith((address, f"blob:{address}", "data:")) for url in requests)


@pytest.fixture(scope="module")
def predictor():
    return Predictor()


def add(page, name, content):
    page.set_input_files("input.photo >> nth=0", [{"name": name, "mimeType": "image/png", "buffer": content}])
    done(page)


def done(page):
    expect(page.get_by_role("status")).to_have_text(re.compile("^(Done|No person found)"), timeout=PATIENCE)


def saved(page):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save image", exact=True).click()
    return np.asarray(Image.open(download.value.path()).convert("RGBA"))


def paint(page, *points):
    """Over the photo, which is shown whole; points are shares of it."""
    box = page.locator("#canvas").bounding_box()
    side = min(box["width"], box["height"]) - 32
    places = [
        (box["x"] + box["width"] / 2 + (x - 0.5) * side, box["y"] + box["height"] / 2 + (y - 0.5) * side)
        for x, y in points
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    expect(page.get_by_role("status")).to_have_text("Updating…", timeout=PATIENCE)
    done(page)


def test_a_photo_becomes_the_cutout_that_python_makes(page, predictor):
    expect(page.get_by_role("link", name="API")).to_be_hidden()
    add(page, "astronaut.jpg", PORTRAIT.read_bytes())
    found = saved(page)
    matte = predictor.matte(PORTRAIT)
    assert found.shape == (512, 512, 4)
    assert np.abs(found[..., 3] / 255 - matte.alpha).mean() < 0.005
    sure = matte.alpha > 0.999
    assert np.abs(found[sure, :3].astype(int) - matte.image[sure]).mean() < 1
    edge = (matte.alpha > 0.5) & (matte.alpha < 0.95)
    assert np.abs(found[edge, :3].astype(int) - matte.cutout()[edge, :3]).mean() < 20


def test_strokes_keep_and_remove(page):
    before = saved(page)[..., 3]
    page.locator("#tools").get_by_text("Brush", exact=True).click()
    assert before[100, 25] < 30 and before[450, 300] > 225
    paint(page, (0.02, 0.2), (0.08, 0.2))
    page.locator("#brush-options").get_by_text("Remove", exact=True).click()
    paint(page, (0.55, 0.88), (0.62, 0.88))
    after = saved(page)[..., 3]
    assert after[102, 25] == 255 and after[450, 300] == 0
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("status")).to_have_text("Updating…")
    done(page)
    assert np.array_equal(saved(page)[..., 3], before)


def test_a_large_photo_is_looked_at_twice(page, predictor):
    large = Image.open(PORTRAIT).resize((1000, 1000), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    large.save(buffer, "png")
    add(page, "large.png", buffer.getvalue())
    found = saved(page)
    assert found.shape == (1000, 1000, 4)
    assert np.abs(found[..., 3] / 255 - predictor.matte(large).alpha).mean() < 0.005


def test_one_person_is_picked(page):
    portrait = Image.open(PORTRAIT).convert("RGB").resize((256, 256))
    both = Image.new("RGB", (640, 256), portrait.getpixel((250, 60)))
    both.paste(portrait, (0, 0))
    both.paste(portrait, (384, 0))
    buffer = io.BytesIO()
    both.save(buffer, "png")
    add(page, "both.png", buffer.getvalue())
    sides = lambda alpha: (alpha[:, :256].mean(), alpha[:, 384:].mean())  # noqa: E731
    assert min(sides(saved(page)[..., 3])) > 60
    page.locator("#tools").get_by_text("Pick person", exact=True).click()
    box = page.locator("#canvas").bounding_box()
    page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.55 * box["height"])
    expect(page.get_by_role("status")).to_have_text("Updating…")
    done(page)
    left, right = sides(saved(page)[..., 3])
    assert left > 60 and right < 3


def test_backgrounds_are_there_and_a_file_that_is_no_image_is_refused_in_words(page):
    expect(page.locator("#backgrounds img")).not_to_have_count(0)
    page.locator("#backgrounds").get_by_text("Sunset", exact=True).click()
    assert (saved(page)[..., 3] == 255).all()
    page.set_input_files(
        "input.photo >> nth=0", [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"}]
    )
    expect(page.locator("#error")).to_have_text(re.compile("notes.txt is not an image"), timeout=PATIENCE)


def test_a_network_that_computes_something_else_is_not_used(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    list(export_page("lite", folder))
    info = json.loads((folder / "page" / "info.json").read_text())
    info["trial"]["alpha"] = [1 - value for value in info["trial"]["alpha"]]
    (folder / "page" / "info.json").write_text(json.dumps(info))
    with hosted(folder) as address:
        page = browser.new_page()
        page.goto(address)
        page.set_input_files("input.photo >> nth=0", PORTRAIT)
        expect(page.locator("#error")).to_have_text(re.compile("computes something else"), timeout=PATIENCE)


def test_a_runtime_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ExportError, match="npm install"):
        list(export_page("lite", tmp_path / "page", tmp_path))
