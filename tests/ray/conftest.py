"""Images, and the file of a model that needs no training."""

import numpy as np
import pytest

from jointmat.io.write import encode_image


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    pytest.importorskip("onnx")
    from tests.fakes import brightness_model

    return str(brightness_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def encoded(seed, size=(60, 80)):
    """A PNG with a bright disk."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: size[0], : size[1]]
    disk = np.hypot(y - size[0] / 2, x - size[1] * rng.uniform(0.3, 0.7)) < size[0] / 3
    noise = rng.integers(0, 40, (*size, 3))
    return encode_image((noise + 200 * disk[..., None]).astype(np.uint8))


@pytest.fixture
def photos(tmp_path):
    """A folder of four images, one of them below another folder, and one that is none."""
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    for name, seed in {"a.png": 0, "b.png": 1, "more/a.png": 2, "more/c.jpg": 3}.items():
        (folder / name).write_bytes(encoded(seed))
    (folder / "broken.jpg").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("no image")
    return folder
