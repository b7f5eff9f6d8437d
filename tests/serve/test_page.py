"""The page in a real browser: by mouse, keyboard and touch, and what it says when things go wrong."""

import io
import re
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="needs jointmat[test]")

from playwright.sync_api import Page, expect

from tests.serve.browser import EXECUTABLE, chromium
from tests.serve.conftest import Brightness, encoded, until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is installed: apt-get install chromium")

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1400, "height": 900}}
TAB_STOPS = 60
_PATIENCE = 90_000  # milliseconds, on a machine that does much else
expect.set_options(timeout=_PATIENCE)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser) -> Iterator:
    """Opens pages of a server; afterwards, none of them has asked another host, or had an error in a script."""
    contexts, wrong = [], []

    def open_page(serving, path="", prepare=lambda page: None, **options) -> Page:
        home = f"http://127.0.0.1:{serving.port}/"
        context = browser.new_context(base_url=home, reduced_motion="reduce", **{**DESK, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        page.sent = []
        page.on("request", lambda request: page.sent.append((request.method, request.url.removeprefix(home))))
        page.on("request", lambda request: wrong.append(request.url) if not own(request.url, home) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if is_fault(message) else None)
        prepare(page)
        page.goto(path, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def own(url, home):
    return url.startswith((home, f"blob:{home}", "data:"))


def is_fault(message):
    """An error that is not the browser's note on an answer that the server refused, which the page shows."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


@pytest.fixture
def portrait() -> np.ndarray:
    """Two bright people of different size before a dark wall."""
    image = np.full((96, 128, 3), 4, np.uint8)
    image[16:96, 16:64] = 250, 220, 200
    image[40:96, 88:112] = 210, 240, 250
    return image


def file(content, name="portrait.png"):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def choose(page, *files):
    page.set_input_files(
        ".empty input.photo >> nth=0", [file(encoded(f)) if isinstance(f, np.ndarray) else f for f in files]
    )
    done(page)


def done(page):
    expect(page.get_by_role("status")).to_have_text(re.compile("^(Done|No person found)"))


def downloaded(page, press):
    with page.expect_download() as download:
        press()
    return download.value.suggested_filename, download.value.path().read_bytes()


def save(page, name="Save image"):
    return downloaded(page, page.get_by_role("button", name=name, exact=True).click)


def image_of(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def tool(page, name):
    page.locator("#tools").get_by_text(name, exact=True).click()


def posts(page):
    return [path for method, path in page.sent if method == "POST"]


def at(page, x, y, portrait):
    """Where a pixel of the photo is on the screen, while all of it is shown."""
    box = page.locator("#canvas").bounding_box()
    height, width = portrait.shape[:2]
    room = min(16, 0.03 * box["width"])
    scale = min((box["width"] - 2 * room) / width, (box["height"] - 2 * room) / height)
    return (
        box["x"] + box["width"] / 2 + (x - width / 2) * scale,
        box["y"] + box["height"] / 2 + (y - height / 2) * scale,
    )


def paint(page, portrait, *points):
    first, *rest = (at(page, *point, portrait) for point in points)
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=4)
    with page.expect_response("**/cutout"):
        page.mouse.up()
    done(page)


def test_a_photo_is_sent_once_whatever_is_chosen_after_that(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    expected = usual.predictor.matte(portrait).cutout()
    name, content = save(page)
    assert name == "portrait-cutout.png"
    assert np.array_equal(image_of(content), expected)
    for background in ("White", "Colour", "Blur", "Sunset", "None"):
        page.locator("#backgrounds").get_by_text(background, exact=True).click()
    page.locator("#shadow").check()
    page.locator("#portrait").check()
    page.locator("#compare").click()
    assert posts(page) == ["v1/photos"]


def test_what_is_shown_is_saved_in_every_format(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    page.locator("#backgrounds").get_by_text("Colour", exact=True).click()
    page.locator("#colour").fill("#12ab34")
    expected = usual.predictor.matte(portrait).composite("#12ab34").astype(int)
    for format, extension in (("png", "png"), ("webp", "webp"), ("jpeg", "jpg")):
        page.locator("#format").select_option(format)
        name, content = save(page)
        assert name == f"portrait-result.{extension}"
        got = image_of(content)[..., :3].astype(int)
        assert got.shape == expected.shape
        assert np.abs(got - expected).mean() < 4
    page.locator("#portrait").check()
    height, width = image_of(save(page)[1]).shape[:2]
    assert width / height == pytest.approx(35 / 45, abs=0.03)


def test_an_id_photo_of_a_head_that_fills_the_photo_keeps_its_chin(usual, visit):
    page = visit(usual)
    y, x = np.mgrid[:200, :150]
    head = ((x - 75) / 60) ** 2 + ((y - 95) / 80) ** 2 < 1  # from row 15 to row 175
    choose(page, np.where((head | (y > 165))[..., None], 250, 4).repeat(3, 2).astype(np.uint8))
    page.locator("#portrait").check()
    assert 175 - 15 < len(image_of(save(page)[1])) < 200


def test_a_brush_corrects_and_is_undone(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    tool(page, "Brush")
    page.locator("#brush-options").get_by_text("Remove").click()
    page.locator("#size").fill("60")
    paint(page, portrait, (95, 50), (105, 90))
    removed = image_of(save(page)[1])[..., 3]
    assert removed[70, 100] == 0
    assert removed[60, 40] > 200
    with page.expect_response("**/cutout"):
        page.locator("#undo").click()
    done(page)
    assert np.array_equal(image_of(save(page)[1]), usual.predictor.matte(portrait).cutout())
    with page.expect_response("**/cutout"):
        page.locator("#redo").click()
    done(page)
    assert image_of(save(page)[1])[70, 100, 3] == 0
    with page.expect_response("**/cutout"):
        page.locator("#reset").click()
    done(page)
    assert image_of(save(page)[1])[70, 100, 3] > 200
    assert posts(page).count("v1/photos") == 1


def test_a_click_keeps_one_person(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    tool(page, "Pick person")
    with page.expect_response("**/cutout"):
        page.mouse.click(*at(page, 100, 70, portrait))
    done(page)
    alpha = image_of(save(page)[1])[..., 3]
    assert alpha[60, 40] == 0
    assert alpha[70, 100] > 200
    with page.expect_response("**/cutout"):
        page.get_by_role("button", name="Keep everyone").click()
    done(page)
    assert image_of(save(page)[1])[60, 40, 3] > 200


def test_a_photo_that_the_server_has_forgotten_is_sent_again(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    usual.app.state.photos._photos.clear()
    tool(page, "Brush")
    paint(page, portrait, (30, 40), (50, 80))
    assert posts(page).count("v1/photos") == 2


def test_nobody_is_said_and_the_brush_offered(usual, visit):
    page = visit(usual)
    choose(page, np.full((96, 128, 3), 3, np.uint8))
    expect(page.get_by_role("status")).to_contain_text("No person found")
    page.get_by_role("button", name="Paint what to keep").click()
    assert focused(page, "#canvas")
    expect(page.locator("#brush-options")).to_be_visible()


def test_several_photos_become_one_zip_and_each_says_its_own_error(usual, visit, portrait):
    page = visit(usual)
    files = [file(encoded(portrait), "a.png"), file(b"words", "notes.png"), file(encoded(portrait[:60]), "a.png")]
    page.set_input_files(".empty input.photo >> nth=0", files)
    expect(page.locator(".thumb[data-status=ready]")).to_have_count(2)
    expect(page.locator(".thumb[data-status=failed]")).to_have_count(1)
    expect(page.locator("#error")).to_be_hidden()
    page.get_by_role("button", name="notes.png: Failed").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("^notes.png: not an image"))
    expect(page.locator("#save")).to_be_disabled()
    name, content = save(page, "Save all")
    assert name == "photos.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a-cutout.png", "a-cutout-2.png"]
        assert image_of(archive.read("a-cutout.png")).shape == (96, 128, 4)
    page.get_by_role("button", name="Remove notes.png").click()
    expect(page.locator("#strip li")).to_have_count(2)
    expect(page.locator("#error")).to_be_hidden()


def test_ones_own_background_is_placed(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    behind = np.zeros((96, 256, 3), np.uint8)
    behind[:, :128], behind[:, 128:] = (200, 0, 0), (0, 0, 200)
    page.set_input_files("#own", file(encoded(behind), "beach.png"))
    expect(page.locator("#place-tool")).to_be_visible()
    middle = image_of(save(page)[1])
    assert middle[2, 2, 0] > 150
    tool(page, "Position")
    page.mouse.move(*at(page, 100, 10, portrait))
    page.mouse.down()
    page.mouse.move(*at(page, 10, 10, portrait), steps=5)
    page.mouse.up()
    assert image_of(save(page)[1])[2, 2, 2] > 150
    page.set_input_files("#own", file(b"words", "beach.png"))
    expect(page.get_by_role("alert")).to_have_text(re.compile("^beach.png is not a picture"))


def test_details_and_more_to_save(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    page.get_by_text("Details").click()
    for plane in ("Alpha", "Trimap"):
        with page.expect_response(f"**/{plane.lower()}"):
            page.locator("#details").get_by_text(plane, exact=True).click()
        page.get_by_role("button", name="More…").click()
        name, content = downloaded(page, page.get_by_role("menuitem", name=plane).click)
        assert name == f"portrait-{plane.lower()}.png"
        assert image_of(content).shape == portrait.shape[:2]


def test_zoom_by_wheel_keys_and_buttons(usual, visit, portrait):
    page = visit(usual)
    choose(page, portrait)
    level = page.locator("#actual")
    fitting = level.text_content()
    expect(page.locator("#fit")).to_have_attribute("aria-pressed", "true")
    page.mouse.move(*at(page, 40, 40, portrait))
    page.mouse.wheel(0, -400)
    expect(level).not_to_have_text(fitting)
    page.locator("#canvas").press("0")
    expect(level).to_have_text(fitting)
    page.locator("#canvas").press("+")
    expect(page.locator("#fit")).to_have_attribute("aria-pressed", "false")
    page.locator("#fit").click()
    expect(level).to_have_text(fitting)


def test_it_is_copied(usual, visit, portrait):
    page = visit(usual, permissions=["clipboard-read", "clipboard-write"])
    choose(page, portrait)
    page.locator("#copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    kinds = page.evaluate("async () => (await navigator.clipboard.read()).flatMap(({ types }) => types)")
    assert kinds == ["image/png"]


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_photo_is_pasted_or_dropped(usual, visit, portrait, way):
    page = visit(usual)
    page.evaluate(
        """([way, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
            const event = way === "paste"
                ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
                : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
            document.querySelector("#empty").dispatchEvent(event);
        }""",
        [way, list(encoded(portrait))],
    )
    done(page)
    assert save(page)[0] == "given-cutout.png"


def test_the_whole_photo_is_seen_while_it_works_and_nothing_jumps(serve, visit, portrait):
    serving = serve(Brightness())
    page = visit(serving)
    page.set_input_files(".empty input.photo >> nth=0", file(encoded(portrait)))
    until(lambda: serving.backend.calls or page.wait_for_timeout(20))
    expect(page.locator("#mount")).to_have_attribute("aria-busy", "true")
    middle = "c => c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[3]"
    until(lambda: page.locator("#canvas").evaluate(middle) or page.wait_for_timeout(20))
    before = page.locator("#canvas").bounding_box()
    serving.backend.free.set()
    done(page)
    assert page.locator("#canvas").bounding_box() == before


def test_a_file_over_the_limit_is_not_sent(serve, visit):
    serving = serve(body_bytes=200_000)
    page = visit(serving)
    expect(page.locator("#limits")).to_contain_text("0.2 MB")
    page.set_input_files(".empty input.photo >> nth=0", file(bytes(300_000), "scan.png"))
    expect(page.get_by_role("alert")).to_have_text(
        "scan.png has 0.3 MB, the limit is 0.2 MB: choose a smaller file."
    )
    assert posts(page) == []


def test_a_server_that_is_gone_is_said(usual, visit, portrait):
    page = visit(usual)
    page.route("**/v1/photos", lambda route: route.abort())
    page.set_input_files(".empty input.photo >> nth=0", file(encoded(portrait)))
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server cannot be reached"))
    page.unroute("**/v1/photos")
    page.get_by_role("button", name="Try again").click()
    done(page)
    expect(page.locator("#error")).to_be_hidden()


def focused(page, selector):
    return page.evaluate("selector => document.activeElement.matches(selector)", selector)


def tab_to(page, selector):
    """Press Tab until an element has the focus, which must then be seen."""
    for _ in range(TAB_STOPS):
        page.keyboard.press("Tab")
        if focused(page, selector):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"{selector} is not among the first {TAB_STOPS} stops")


def test_all_of_it_works_by_keyboard(usual, visit, portrait):
    page = visit(usual)
    press = page.keyboard.press
    choose(page, portrait)
    assert focused(page, "input[name=tool]")
    press("ArrowRight")
    expect(page.locator("#brush-options")).to_be_visible()
    tab_to(page, "#canvas")
    with page.expect_response("**/cutout"):
        for key in ("Space", "ArrowRight", "ArrowRight", "Space"):
            press(key)
    done(page)
    assert image_of(save(page)[1])[48, 66, 3] == 255
    tab_to(page, "input[name=background]:checked")
    press("ArrowRight")
    tab_to(page, "#save")
    assert downloaded(page, lambda: press("Enter"))[0] == "portrait-result.png"
    tab_to(page, "#menu-button")
    press("Enter")
    assert focused(page, "[data-save=cutout]")
    press("ArrowDown")
    assert focused(page, "[data-save=alpha]")
    press("Escape")
    assert focused(page, "#menu-button")
    page.locator("#compare").focus()
    press("Enter")
    tab_to(page, "#slider")
    press("Home")
    assert page.locator("#slider").input_value() == "0"


def axe(page):
    """The faults that axe-core finds, by rule and element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_state_is_accessible_and_fits(usual, visit, portrait, scheme, size):
    pytest.importorskip("axe_playwright_python", reason="needs jointmat[test]")
    # axe is put into the page by a script, which the page's own policy would forbid.
    page = visit(usual, color_scheme=scheme, bypass_csp=True, **size)
    assert_good(page)
    choose(page, file(encoded(portrait), "a.png"), file(b"words", "notes.png"))
    assert_good(page)
    page.locator("#compare").click()
    page.get_by_text("Details").click()
    assert_good(page)
    for name in ("Brush", "Pick person"):
        tool(page, name)
        assert_good(page)
    page.locator("#backgrounds").get_by_text("Colour", exact=True).click()
    page.locator("#portrait").check()
    tool(page, "Position")
    assert_good(page)
    page.get_by_role("button", name="More…").click()
    assert_good(page)
    page.keyboard.press("Escape")
    expect(page.locator(".thumb[data-status=failed]")).to_have_count(1)
    page.locator(".thumb[data-status=failed]").click()
    assert_good(page)


def assert_good(page):
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_works_by_touch(usual, visit, portrait):
    page = visit(usual, **PHONE)
    assert page.get_by_text("Drop photos here").is_hidden()
    choose(page, portrait)
    page.get_by_text("Aurora", exact=True).tap()
    assert save(page)[0] == "portrait-result.png"
    tool(page, "Pick person")
    expect(page.get_by_text("Tap", exact=True)).to_be_visible()
    with page.expect_response("**/cutout"):
        page.touchscreen.tap(*at(page, 100, 70, portrait))
    done(page)
    for button in page.locator("button:visible:not(.drop), label.button:visible").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44, button.text_content()


def test_the_theme_is_the_systems_until_another_is_chosen(usual, visit):
    page = visit(usual, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    light = page.evaluate(paper)
    assert light != dark
    page.reload()
    assert page.evaluate(paper) == light


def without_storage(page):
    """Has the browser block it, as some do with all cookies."""
    page.add_init_script(
        """Object.defineProperty(window, "localStorage", {
            get() { throw new DOMException("blocked", "SecurityError"); },
        })"""
    )


def test_theme_and_documentation_work_without_storage(usual, visit):
    page = visit(usual, prepare=without_storage, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(paper) != dark
    page = visit(usual, "docs/", prepare=without_storage)
    expect(page.locator("[id$=alpha_v1_alpha_post]")).to_be_visible()


def test_the_sample_is_a_portrait(usual, visit):
    page = visit(usual)
    page.route("**/sample.jpg", lambda route: route.abort())
    page.get_by_role("button", name="Try the sample").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server cannot be reached"))
    page.unroute("**/sample.jpg")
    page.get_by_role("button", name="Try the sample").click()
    done(page)
    assert save(page)[0] == "astronaut-cutout.png"
