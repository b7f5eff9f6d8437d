"""A photo is sent once, and comes back as often as it is wanted, corrected, until it is forgotten."""

import json

import numpy as np
import pytest

from jointmat.io.arrays import to_uint8
from jointmat.serve.strokes import Stroke, painted
from tests.serve.conftest import decoded, encoded, refused, until

STROKES = [
    {"label": "keep", "radius": 3, "points": [[5, 5], [20, 8]]},
    {"label": "remove", "radius": 2, "points": [[40, 30]]},
]


@pytest.fixture
def kept(usual, photo):
    answer = usual.post("/v1/photos", files=photo)
    assert answer.status_code == 201, answer.text
    return answer.json()


def correct(serving, kept, **fields):
    parts = {"subject": (None, "all")}  # one part at least, so that it is a form of parts
    for name, value in fields.items():
        parts[name] = value if name == "trimap" else (None, json.dumps(value) if name == "strokes" else value)
    return serving.post(f"/v1/photos/{kept['id']}/corrections", files=parts)


def test_its_planes_are_those_of_the_predictor(usual, image, kept):
    matte = usual.predictor.matte(image)
    assert (kept["width"], kept["height"]) == (56, 40)
    assert kept["coverage"] == pytest.approx(matte.coverage)
    assert kept["is_empty"] == matte.is_empty
    assert np.array_equal(decoded(usual.http.get(kept["alpha"])), to_uint8(matte.alpha))
    assert np.array_equal(decoded(usual.http.get(kept["trimap"])), matte.trimap)
    assert np.array_equal(decoded(usual.http.get(kept["cutout"])), matte.cutout())
    assert decoded(usual.http.get(kept["photo"])).shape == image.shape
    assert usual.http.get(f"/v1/photos/{kept['id']}").json() == kept


def test_strokes_correct_it_in_one_pass(usual, image, kept):
    before = usual.backend.calls
    answer = correct(usual, kept, strokes=STROKES)
    assert answer.status_code == 200, answer.text
    assert usual.backend.calls == before + 1
    strokes = [Stroke(s["label"], s["radius"], tuple(map(tuple, s["points"]))) for s in STROKES]
    trimap = painted(usual.predictor.matte(image).trimap, strokes)
    expected = usual.predictor.matte(image, trimap=trimap)
    assert np.array_equal(decoded(usual.http.get(kept["alpha"])), to_uint8(expected.alpha))
    assert np.array_equal(decoded(usual.http.get(kept["trimap"])), trimap)

    # All strokes come each time, over the same trimap; none is as at first.
    correct(usual, kept, strokes=STROKES[:1])
    assert np.array_equal(
        decoded(usual.http.get(kept["trimap"])), painted(usual.predictor.matte(image).trimap, strokes[:1])
    )
    correct(usual, kept)
    assert np.array_equal(decoded(usual.http.get(kept["trimap"])), usual.predictor.matte(image).trimap)


def test_another_trimap_or_subject_is_taken(usual, image, kept, rng):
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), image.shape[:2])
    correct(usual, kept, trimap=encoded(trimap))
    expected = usual.predictor.matte(image, trimap=trimap)
    assert np.array_equal(decoded(usual.http.get(kept["alpha"])), to_uint8(expected.alpha))
    correct(usual, kept, subject="largest", fill_holes="true")
    expected = usual.predictor.matte(image, subject="largest", fill_holes=True)
    assert np.array_equal(decoded(usual.http.get(kept["alpha"])), to_uint8(expected.alpha))


@pytest.mark.parametrize(
    ("strokes", "words"),
    [
        ("[", "JSON"),
        ('[{"label": "draw", "radius": 3, "points": [[1, 2]]}]', "strokes.0.label"),
        ('[{"label": "keep", "radius": 0, "points": [[1, 2]]}]', "strokes.0.radius"),
        ('[{"label": "keep", "radius": 3, "points": []}]', "strokes.0.points"),
        ('[{"label": "keep", "radius": 3, "points": [[1e9, 2]]}]', "strokes.0.points.0.0"),
        ('[{"label": "keep", "radius": NaN, "points": [[1, 2]]}]', "strokes"),
    ],
)
def test_strokes_that_are_none_are_refused(usual, kept, strokes, words):
    files = {"strokes": (None, strokes)}
    refused(usual.post(f"/v1/photos/{kept['id']}/corrections", files=files), 422, words)


def test_a_trimap_of_another_size_is_refused(usual, kept):
    refused(correct(usual, kept, trimap=encoded(np.zeros((3, 3), np.uint8))), 422, "trimap", "40x56")


def test_a_photo_is_forgotten_when_told_so(usual, kept):
    assert usual.http.delete(f"/v1/photos/{kept['id']}").status_code == 204
    refused(usual.http.get(kept["alpha"]), 404, "send it again")
    refused(usual.http.delete(f"/v1/photos/{kept['id']}"), 404)
    refused(correct(usual, kept), 404)


def test_a_photo_is_forgotten_by_itself(serve, photo):
    serving = serve(keep_seconds=0.3)
    serving.post("/v1/photos", files=photo)
    until(lambda: serving.app.state.photos.count == 0)


def test_the_one_unused_for_longest_makes_room(serve, photo):
    serving = serve(kept_photos=2)
    first, second = (serving.post("/v1/photos", files=photo).json() for _ in range(2))
    assert serving.http.get(first["alpha"]).status_code == 200
    third = serving.post("/v1/photos", files=photo).json()
    states = [serving.http.get(kept["alpha"]).status_code for kept in (first, second, third)]
    assert states == [200, 404, 200]

    serving = serve(kept_bytes=serving.app.state.photos.size // 2 + 100)
    for _ in range(3):
        serving.post("/v1/photos", files=photo)
    assert serving.app.state.photos.count == 1

    serving = serve(kept_bytes=100)
    refused(serving.post("/v1/photos", files=photo), 413, "image")
    assert serving.app.state.photos.count == 0


def test_names_cannot_be_guessed(usual, photo):
    names = {usual.post("/v1/photos", files=photo).json()["id"] for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) >= 20 for name in names)
