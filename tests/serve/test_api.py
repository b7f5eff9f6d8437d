"""Images that come out are those that the package makes."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import jointmat.serve
from jointmat.backgrounds import DRAWN, draw
from jointmat.io.arrays import to_uint8
from jointmat.serve.jobs import Cut
from jointmat.serve.strokes import Stroke
from tests.serve.conftest import decoded, encoded, refused

LINKS = "https://www.apache.org/licenses/"  # that a visitor may follow
PAGE = Path(jointmat.serve.__file__).parent / "page"


def test_alpha_trimap_and_cutout_are_those_of_the_predictor(usual, image, photo):
    matte = usual.predictor.matte(image)
    assert np.array_equal(decoded(usual.post("/v1/alpha", files=photo)), to_uint8(matte.alpha))
    assert np.array_equal(decoded(usual.post("/v1/trimap", files=photo)), matte.trimap)
    assert np.array_equal(decoded(usual.post("/v1/cutout", files=photo)), matte.cutout())


def test_what_was_transparent_stays_so_and_density_is_kept(usual, image):
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    rgba[:, :20, 3] = 0
    sent = encoded(rgba, dpi=(300, 300))
    answer = usual.post("/v1/cutout", files={"image": sent})
    assert decoded(answer)[:, :20, 3].max() == 0 < decoded(answer)[:, 20:, 3].max()
    assert Image.open(io.BytesIO(answer.content)).info["dpi"] == pytest.approx((300, 300), abs=0.1)
    corrected = Cut(sent, strokes=(Stroke("unsure", 5, ((8, 8),)),)).matte(usual.predictor)
    assert corrected.trimap[8, 8] == 128
    assert corrected.alpha[:, :20].max() == 0


@pytest.mark.parametrize("background", ["sunset", "#1e90ff", "#123", "blur"])
def test_a_composite_has_the_background_that_was_named(usual, image, photo, background):
    there = draw(background, *image.shape[:2]) if background in DRAWN else background
    expected = usual.predictor.matte(image).composite(there)
    answer = usual.post("/v1/composite", files=photo, data={"background": background})
    assert np.array_equal(decoded(answer), expected)


def test_a_composite_has_the_background_that_was_sent(usual, image, photo, rng):
    behind = rng.integers(0, 256, (20, 90, 3), np.uint8)
    answer = usual.post("/v1/composite", files={**photo, "background_image": encoded(behind)})
    assert np.array_equal(decoded(answer), usual.predictor.matte(image).composite(behind))


def test_fit_light_and_subject_are_those_asked_for(usual, photo, rng):
    image = np.zeros((40, 56, 3), np.uint8)
    image[4:36, 4:28], image[8:24, 36:52] = 250, 200  # two people, the first larger
    image[14:22, 12:20] = 0  # and with a hole
    two = {"image": encoded(image), "background_image": encoded(rng.integers(0, 256, (20, 90, 3), np.uint8))}
    settings = {"fit": "fit", "light": "linear", "subject": "44,16"}
    right = usual.predictor.matte(image, subject=(44, 16))
    expected = right.composite(two["background_image"], fit="fit", light="linear")
    assert np.array_equal(decoded(usual.post("/v1/composite", files=two, data=settings)), expected)

    largest = {"subject": "largest", "fill_holes": "true"}
    left = to_uint8(usual.predictor.matte(image, subject="largest", fill_holes=True).alpha)
    answer = usual.post("/v1/alpha", files={"image": two["image"]}, data=largest)
    assert np.array_equal(decoded(answer), left)
    assert left[16, 44] == 0
    assert left[18, 16] > 0
    for wrong in ("me", "1,2,3", "-1,5", "../x"):
        refused(usual.post("/v1/alpha", files=photo, data={"subject": wrong}), 422, "subject")


def test_formats_are_those_asked_for_and_lose_nothing(usual, image, photo):
    webp = usual.post("/v1/cutout", files=photo, data={"format": "webp"})
    assert webp.headers["content-type"] == "image/webp"
    assert np.array_equal(decoded(webp), usual.predictor.matte(image).cutout())
    jpeg = usual.post("/v1/composite", files=photo, data={"format": "jpg", "background": "#fff"})
    assert jpeg.headers["content-type"] == "image/jpeg"
    assert decoded(jpeg).shape == image.shape
    refused(usual.post("/v1/cutout", files=photo, data={"format": "jpg"}), 422, "format", "'png' or 'webp'")


def test_a_composite_needs_exactly_one_background(usual, photo):
    refused(usual.post("/v1/composite", files=photo), 422, "neither", "background_image")
    both = usual.post(
        "/v1/composite", files={**photo, "background_image": photo["image"]}, data={"background": "bokeh"}
    )
    refused(both, 422, "both", "background_image")
    answer = usual.post("/v1/composite", files=photo, data={"background": "beach"})
    refused(answer, 422, "background: got 'beach'", "sunset")
    text = usual.post("/v1/alpha", files={**photo, "trimap": (None, "text")})
    refused(text, 422, "trimap: got text")
    assert not re.search("function|None", answer.text + text.text)  # nothing of the library that checks


def test_a_photo_is_answered_upright_and_without_its_place(usual, image):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)  # GPS latitude
    assert exif.get_ifd(0x8825)
    sent = encoded(image, "jpeg", exif=exif)
    answer = usual.post("/v1/composite", files={"image": sent}, data={"background": "studio", "format": "jpg"})
    got = Image.open(io.BytesIO(answer.content))
    assert got.size == (40, 56)
    assert dict(got.getexif()) == {}
    assert b"Exif" not in answer.content


def test_info_says_what_a_client_must_know(usual):
    info = usual.http.get("/v1/info").json()
    assert info["max_bytes"] == usual.app.state.limits.body_bytes
    assert info["max_pixels"] == usual.app.state.limits.pixels
    assert info["backgrounds"] == list(DRAWN)
    for name in info["backgrounds"]:
        assert decoded(usual.http.get(f"/v1/backgrounds/{name}")).shape == (960, 1280, 3)
    refused(usual.http.get("/v1/backgrounds/beach"), 404, "beach", "sunset")


def test_metrics_count_requests_by_route(usual, photo):
    def count(route, status):
        families = text_string_to_metric_families(generate_latest(usual.app.state.meters.registry).decode())
        samples = {
            (s.labels["route"], s.labels["status"]): s.value
            for family in families
            for s in family.samples
            if s.name == "jointmat_requests_total"
        }
        assert all(route == "other" or route.startswith("/") for route, _ in samples)
        return samples.get((route, status), 0)

    before, lost = count("/v1/alpha", "200"), count("other", "404")
    usual.post("/v1/alpha", files=photo)
    usual.http.get("/made-up-by-a-client")
    assert count("/v1/alpha", "200") == before + 1
    assert count("other", "404") == lost + 1


def test_page_and_documentation_are_there_and_ask_nobody_else(usual):
    for path in (
        "/",
        "/page/app.js",
        "/page/style.css",
        "/docs/",
        "/docs/assets/swagger-ui-bundle.js",
        "/sample.jpg",
    ):
        answer = usual.http.get(path)
        assert answer.status_code == 200, path
    for file in PAGE.rglob("*.*"):
        addresses = set(re.findall(r"https?://[^\s\"'<>]+", file.read_text("utf-8")))
        elsewhere = {address for address in addresses if not address.startswith(LINKS)}
        assert elsewhere <= {"http://www.w3.org/2000/svg"}, file


def test_every_answer_that_is_given_is_in_the_specification(usual):
    spec = json.loads(usual.http.get("/openapi.json").text)
    for path in ("/v1/alpha", "/v1/cutout", "/v1/composite"):
        operation = spec["paths"][path]["post"]
        assert set(operation["responses"]) == {"200", "400", "408", "413", "415", "422", "500", "503", "504"}
        assert list(operation["requestBody"]["content"]) == ["multipart/form-data"]
        assert "image/png" in operation["responses"]["200"]["content"]
    for path in ("/healthz", "/v1/info"):
        assert path in spec["paths"]
