"""The demo page in a real browser: by mouse, keyboard and touch, and what it says when things go wrong."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs jointmat[test]")

from playwright.sync_api import Page, expect

from tests.serve.browser import EXECUTABLE, chromium
from tests.serve.conftest import Brightness, decoded, encoded, until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is installed: apt-get install chromium")

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
TAB_STOPS = 40
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser):
    """Opens pages of a server; afterwards, none of them has asked another host, or had an error in a script."""
    contexts, wrong = [], []

    def open_page(serving, path="", prepare=lambda page: None, wait_until="networkidle", **options) -> Page:
        home = f"http://127.0.0.1:{serving.port}/"
        context = browser.new_context(base_url=home, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: wrong.append(request.url) if not own(request.url, home) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if is_fault(message) else None)
        prepare(page)
        page.goto(path, wait_until=wait_until)
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


def file(content, name="portrait.png"):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def choose(page, photo):
    page.set_input_files("#empty input.photo", file(photo["image"]))
    done(page, "Composite")


def done(page, label):
    expect(page.get_by_role("status")).to_have_text(re.compile(rf"^{label} ready in"))
    assert_shown(page)


def assert_shown(page):
    result = page.locator("#after")
    expect(result).to_be_visible()
    assert result.evaluate("image => image.naturalWidth") > 0


def downloaded(page, press):
    with page.expect_download() as download:
        press()
    return download.value.suggested_filename, download.value.path().read_bytes()


def click_download(page, label):
    return downloaded(page, page.get_by_role("button", name=label).click)


def api(serving, kind, photo, **data):
    answer = serving.post(f"/v1/{kind}", files=photo, data=data)
    assert answer.status_code == 200
    return answer.content


def test_what_is_downloaded_are_the_bytes_of_the_api(usual, visit, photo):
    page = visit(usual)
    choose(page, photo)
    assert click_download(page, "Cut-out") == ("portrait-cutout.png", api(usual, "cutout", photo))
    assert click_download(page, "Alpha") == ("portrait-alpha.png", api(usual, "alpha", photo))
    composite = api(usual, "composite", photo, background="sunset", format="jpg")
    assert click_download(page, "Composite") == ("portrait-composite.jpg", composite)


def test_every_step_can_be_seen(usual, visit, photo):
    page = visit(usual)
    choose(page, photo)
    for view in ("Trimap", "Alpha", "Composite"):
        page.get_by_text(view, exact=True).first.click()
        done(page, view)
        expect(page.get_by_alt_text(f"{view} of the photo")).to_be_visible()
        expect(page.locator("#before")).to_be_visible()
    page.get_by_text("Photo", exact=True).first.click()
    expect(page.locator("#before")).to_be_hidden()
    assert_shown(page)


def test_backgrounds_are_a_colour_ones_own_or_none(usual, visit, photo, rng):
    page = visit(usual)
    choose(page, photo)
    page.get_by_text("Colour", exact=True).first.click()
    page.get_by_label("Colour", exact=True).last.fill("#12ab34")
    done(page, "Composite")
    expected = api(usual, "composite", photo, background="#12ab34", format="jpg")
    assert click_download(page, "Composite")[1] == expected

    behind = encoded(rng.integers(0, 256, (30, 30, 3), np.uint8))
    page.set_input_files("#own", file(behind, "beach.png"))
    done(page, "Composite")
    expected = api(usual, "composite", {**photo, "background_image": behind}, format="jpg")
    assert click_download(page, "Composite")[1] == expected

    page.get_by_text("Blur", exact=True).click()
    done(page, "Composite")
    expected = api(usual, "composite", photo, background="blur", format="jpg")
    assert click_download(page, "Composite")[1] == expected

    page.get_by_text("None", exact=True).click()
    done(page, "Cut-out")
    assert click_download(page, "Composite") == ("portrait-cutout.png", api(usual, "cutout", photo))


def test_what_is_shown_is_called_what_it_is(serve, visit, photo):
    serving = serve()
    page = visit(serving)
    page.route("**/v1/trimap", lambda route: route.abort())
    shown, tag = page.locator("#after"), page.locator("#tag")

    serving.backend.free.clear()
    page.set_input_files("#empty input.photo", file(photo["image"]))
    until(lambda: serving.backend.calls)
    assert (shown.get_attribute("alt"), tag.text_content()) == ("", "")
    serving.backend.free.set()
    done(page, "Composite")
    assert (shown.get_attribute("alt"), tag.text_content()) == ("Composite of the photo", "Composite")

    look(page, "Trimap")
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server cannot be reached"))
    assert (shown.get_attribute("alt"), tag.text_content()) == ("Composite of the photo", "Composite")

    look(page, "Photo")
    assert (shown.get_attribute("alt"), tag.text_content()) == ("The photo", "Photo")
    look(page, "Composite")
    done(page, "Composite")
    assert (shown.get_attribute("alt"), tag.text_content()) == ("Composite of the photo", "Composite")
    page.get_by_text("None", exact=True).click()
    done(page, "Cut-out")
    assert (shown.get_attribute("alt"), tag.text_content()) == ("Cut-out of the photo", "Cut-out")


def look(page, view):
    page.locator(".views").get_by_text(view, exact=True).click()


def test_a_background_that_is_passed_over_is_not_waited_for(serve, visit, photo):
    serving = serve(Brightness(), workers=1)
    page = visit(serving)
    page.set_input_files("#empty input.photo", file(photo["image"]))
    until(lambda: serving.backend.calls)
    for name in ("Studio", "Aurora"):
        with page.expect_event("requestfailed", timeout=20_000) as overtaken:
            page.get_by_text(name, exact=True).click()
        assert overtaken.value.url.endswith("/v1/composite")
    serving.backend.free.set()
    done(page, "Composite")
    expected = api(serving, "composite", photo, background="aurora", format="jpg")
    assert click_download(page, "Composite")[1] == expected


def test_a_download_is_not_given_up_for_what_is_looked_at(serve, visit, photo):
    serving = serve()
    page = visit(serving)
    choose(page, photo)
    click_download(page, "Cut-out")
    for view in ("Trimap", "Alpha"):  # so that nothing is fetched beforehand later
        look(page, view)
        done(page, view)
    serving.backend.free.clear()
    page.get_by_text("Blur", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Composite").click()
        page.get_by_text("Aurora", exact=True).click()
        until(lambda: serving.app.state.gate.jobs == 2)
        serving.backend.free.set()
    expected = api(serving, "composite", photo, background="blur", format="jpg")
    assert download.value.path().read_bytes() == expected
    done(page, "Composite")


def test_a_composite_without_its_background_says_what_is_missing(usual, visit, photo):
    page = visit(usual)
    choose(page, photo)
    page.locator("input[name=background][value=own]").press("Space")
    expect(page.get_by_role("status")).to_have_text("Choose a picture for the background.")
    page.get_by_role("button", name="Composite").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a picture for the background.")


def test_an_upload_is_announced_once(usual, visit, photo):
    page = visit(usual)
    page.evaluate(
        """() => {
            window.said = [];
            const note = () => said.push(document.querySelector("#status").textContent);
            new MutationObserver((changes) => changes.forEach(note)).observe(
                document.querySelector("#status"), { childList: true, characterData: true, subtree: true });
            const send = XMLHttpRequest.prototype.send;
            XMLHttpRequest.prototype.send = function (form) {
                for (let loaded = 1; loaded < 9; loaded++) {
                    const event = new ProgressEvent("progress", { loaded, total: 9 });
                    setTimeout(() => this.upload.dispatchEvent(event));
                }
                setTimeout(() => send.call(this, form), 50);
            };
        }"""
    )
    choose(page, photo)
    said = [text for text in page.evaluate("said") if text.startswith("Sending")]
    assert said == ["Sending…"]


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_photo_is_pasted_or_dropped(usual, visit, photo, way):
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
        [way, list(photo["image"])],
    )
    done(page, "Composite")
    assert click_download(page, "Cut-out") == ("given-cutout.png", api(usual, "cutout", photo))


def test_the_slider_divides_photo_and_result(usual, visit, photo):
    page = visit(usual)
    choose(page, photo)
    box = page.locator("#frame").bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    divide = page.locator(".divide").bounding_box()
    assert (divide["x"] - box["x"]) / box["width"] == pytest.approx(0.8, abs=0.05)


def test_a_file_that_is_no_picture_is_named_and_another_can_be_chosen(usual, visit, photo):
    page = visit(usual)
    page.set_input_files("#empty input.photo", file(b"these are words", "notes.png"))
    expect(page.get_by_role("alert")).to_have_text(re.compile("^notes.png: not an image: expected one of JPEG"))
    expect(page.get_by_role("button", name="Cut-out")).to_be_disabled()
    choose(page, photo)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("button", name="Cut-out")).to_be_enabled()


def test_a_background_that_is_no_picture_leaves_the_photo(usual, visit, photo):
    page = visit(usual)
    choose(page, photo)
    page.set_input_files("#own", file(b"words", "beach.png"))
    expect(page.get_by_role("alert")).to_have_text(re.compile("^beach.png: not an image"))
    page.get_by_text("Studio", exact=True).click()
    done(page, "Composite")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_file_over_the_limit_is_not_sent(serve, visit, photo):
    serving = serve(body_bytes=200_000)
    page = visit(serving)
    page.set_input_files("#empty input.photo", file(bytes(300_000), "scan.png"))
    expect(page.get_by_role("alert")).to_have_text(
        "scan.png has 0.3 MB, the limit is 0.2 MB: choose a smaller file."
    )
    assert serving.backend.calls == 0


def test_a_busy_server_is_asked_again(serve, visit, photo):
    serving = serve(Brightness(), workers=1, waiting=0)
    page = visit(serving)
    with ThreadPoolExecutor(1) as clients:
        other = clients.submit(serving.post, "/v1/alpha", files=photo)
        while serving.app.state.gate.jobs == 0:
            page.wait_for_timeout(10)
        page.set_input_files("#empty input.photo", file(photo["image"]))
        expect(page.get_by_role("status")).to_have_text("The server is busy; trying again…")
        serving.backend.free.set()
        decoded(other.result())
    done(page, "Composite")


def test_a_server_that_is_gone_is_said_and_may_come_back(usual, visit, photo):
    page = visit(usual)
    page.route("**/v1/composite", lambda route: route.abort())
    page.set_input_files("#empty input.photo", file(photo["image"]))
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server cannot be reached"))
    page.unroute("**/v1/composite")
    page.get_by_text("Bokeh", exact=True).click()
    done(page, "Composite")


def test_all_of_it_works_by_keyboard(usual, visit, photo):
    page = visit(usual)
    press = page.keyboard.press
    tab_to(page, "#empty input.photo")
    choosers = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 (it takes no builtin)
    for _ in range(30):  # a browser on a busy machine drops keys before it has painted
        press("Enter")
        page.wait_for_timeout(1000)
        if choosers:
            break
    choosers[0].set_files(file(photo["image"]))
    done(page, "Composite")
    assert focused(page, "input[name=view][value=composite]")

    press("ArrowLeft")
    done(page, "Alpha")
    tab_to(page, "#slider")
    press("Home")
    press("ArrowRight")
    assert page.locator("#frame").evaluate("frame => frame.style.getPropertyValue('--split')") == "1%"
    tab_to(page, "input[name=background]:checked")
    press("ArrowRight")
    done(page, "Composite")
    tab_to(page, "[data-download=cutout]")
    name, content = downloaded(page, lambda: press("Enter"))
    assert (name, content) == ("portrait-cutout.png", api(usual, "cutout", photo))
    tab_to(page, "[data-download=composite]")
    expected = api(usual, "composite", photo, background="studio", format="jpg")
    assert downloaded(page, lambda: press("Space"))[1] == expected


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


def test_it_fits_a_phone_and_works_by_touch(usual, visit, photo):
    page = visit(usual, **PHONE)
    assert_fits(page)
    choose(page, photo)
    assert_fits(page)
    page.get_by_text("Aurora", exact=True).tap()
    done(page, "Composite")
    expected = api(usual, "composite", photo, background="aurora", format="jpg")
    assert click_download(page, "Composite")[1] == expected
    for button in page.locator("button:visible, label.button:visible").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44, button.text_content()


def assert_fits(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_theme_is_the_systems_until_another_is_chosen(usual, visit):
    page = visit(usual, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    light = page.evaluate(paper)
    assert light != dark
    page.reload()
    assert page.evaluate(paper) == light
    assert visit(usual, color_scheme="light").evaluate(paper) == light


def without_storage(page):
    """Has the browser block it, as some do with all cookies."""
    page.add_init_script(
        """Object.defineProperty(window, "localStorage", {
            get() { throw new DOMException("blocked", "SecurityError"); },
        })"""
    )


def test_the_theme_can_be_chosen_without_storage(usual, visit):
    page = visit(usual, prepare=without_storage, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(paper) != dark


def test_the_documentation_is_shown_without_storage(usual, visit):
    page = visit(usual, "docs/", prepare=without_storage)
    expect(page.locator("[id$=alpha_v1_alpha_post]")).to_be_visible()


def test_a_photo_may_come_before_the_server_has_said_what_it_has(usual, visit, photo):
    asked = []

    def hold(page):
        page.route("**/v1/info", lambda route: asked.append(route))  # noqa: PLW0108 (it takes no builtin)

    page = visit(usual, prepare=hold, wait_until="load")
    choose(page, photo)
    expected = api(usual, "composite", photo, background="blur", format="jpg")
    assert click_download(page, "Composite")[1] == expected
    asked[0].continue_()
    expect(page.locator("input[name=background][value=blur]")).to_be_checked()
    page.get_by_text("Aurora", exact=True).click()
    done(page, "Composite")
    expected = api(usual, "composite", photo, background="aurora", format="jpg")
    assert click_download(page, "Composite")[1] == expected


def test_the_sample_is_a_portrait(usual, visit):
    page = visit(usual)
    page.get_by_role("button", name="Try the sample").click()
    done(page, "Composite")
    expect(page.locator("#name")).to_have_text("astronaut.jpg")


def test_a_sample_that_does_not_come_is_said(usual, visit):
    page = visit(usual)
    busy = {"status": 503, "content_type": "application/problem+json", "body": '{"detail": "busy: try again"}'}
    page.route("**/sample.jpg", lambda route: route.fulfill(**busy))
    page.get_by_role("button", name="Try the sample").click()
    expect(page.get_by_role("alert")).to_have_text("busy: try again")
    page.unroute("**/sample.jpg")
    page.route("**/sample.jpg", lambda route: route.abort())
    page.get_by_role("button", name="Try the sample").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The server cannot be reached"))


def test_the_documentation_is_shown_and_can_be_tried(usual, visit, photo):
    page = visit(usual, "docs/")
    page.locator("[id$=alpha_v1_alpha_post] button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.set_input_files("input[type=file]", file(photo["image"]))
    with page.expect_response("**/v1/alpha") as answer:
        page.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200
