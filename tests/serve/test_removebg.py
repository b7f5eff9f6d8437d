"""Clients that were written for remove.bg."""

import base64

import numpy as np

from jointmat.io.arrays import to_uint8
from tests.serve.conftest import decoded, encoded, refused

PATH = "/v1.0/removebg"


def test_the_usual_request_gives_the_cutout(usual, image, photo):
    answer = usual.post(
        PATH, files={"image_file": photo["image"]}, data={"size": "auto"}, headers={"X-Api-Key": "k"}
    )
    assert np.array_equal(decoded(answer), usual.predictor.matte(image).cutout())
    assert (answer.headers["x-width"], answer.headers["x-height"]) == ("56", "40")
    coded = {"image_file_b64": (None, base64.b64encode(photo["image"]))}
    json = usual.post(PATH, files=coded, headers={"Accept": "application/json"}).json()
    assert base64.b64decode(json["data"]["result_b64"]) == answer.content


def test_channels_backgrounds_and_formats(usual, image, photo):
    files = {"image_file": photo["image"]}
    matte = usual.predictor.matte(image)
    alpha = usual.post(PATH, files=files, data={"channels": "alpha"})
    assert np.array_equal(decoded(alpha), to_uint8(matte.alpha))
    for color in ("81d4fa", "#81d4fa"):
        got = decoded(usual.post(PATH, files=files, data={"bg_color": color}))
        assert np.array_equal(got, matte.composite("#81d4fa"))
    behind = encoded(np.full((9, 9, 3), 50, np.uint8))
    got = decoded(usual.post(PATH, files={**files, "bg_image_file": behind}))
    assert np.array_equal(got, matte.composite(behind))
    assert usual.post(PATH, files=files, data={"format": "jpg"}).headers["content-type"] == "image/jpeg"


def test_size_and_crop(usual):
    image = np.zeros((800, 1000, 3), np.uint8)
    image[200:600, 300:500] = 255
    files = {"image_file": encoded(image)}
    height, width = decoded(usual.post(PATH, files=files, data={"size": "preview"})).shape[:2]
    assert 240_000 < height * width < 251_000
    height, width = decoded(usual.post(PATH, files=files, data={"crop": "true"})).shape[:2]
    assert height < 600
    assert width < 400


def test_what_is_not_there_is_refused_by_its_name(usual, photo):
    image = {"image_file": photo["image"]}
    for name in ("image_url", "bg_image_url", "roi", "shadow_type", "scale"):
        refused(usual.post(PATH, files=image, data={name: "x"}), 422, f"{name}: there is no such field")
    refused(usual.post(PATH, files=image, data={"type": "car"}), 422, "type", "person")
    refused(usual.post(PATH, files={"size": (None, "auto")}), 422, "neither", "image_file_b64")
    refused(usual.post(PATH, files={"image_file_b64": (None, "***")}), 422, "base64")
