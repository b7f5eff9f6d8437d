"""The composites that INT8 is calibrated on."""

import cv2
import numpy as np
import pytest

from export.calibration import composites, feeds
from jointmat.errors import ImageError, InputError

HEAD = "id,split,source,licence,kind,image,label,trimap\n"


def write(folder, *rows, head=HEAD):
    (folder / "manifest.csv").write_text(head + "".join(f"{row}\n" for row in rows))
    return folder


def test_a_composite_is_the_cutout_in_front_of_the_background(tmp_path):
    colours, alpha = np.full((40, 30, 3), (10, 20, 30), np.uint8), np.zeros((40, 30), np.uint8)
    alpha[:, 10:], alpha[:, 20:] = 51, 255
    cv2.imwrite(str(tmp_path / "c.png"), np.dstack([colours, alpha]))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((60, 80, 3), (200, 150, 100), np.uint8))
    write(tmp_path, "c,train_x,s,CC0,cutout,c.png,,", "b,train,s,CC0,background,b.png,,")
    (composite,) = composites(tmp_path, 1)
    np.testing.assert_array_equal(
        composite.image[0, [0, 10, 20]], [[100, 150, 200], [86, 124, 162], [30, 20, 10]]
    )
    np.testing.assert_allclose(composite.alpha[0, [0, 10, 20]], [0, 0.2, 1])


def test_a_cutout_in_two_files_and_splits_of_another_kind(tmp_path):
    cv2.imwrite(str(tmp_path / "c.png"), np.full((4, 4, 3), 10, np.uint8))
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 4), 51, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((4, 4, 3), 200, np.uint8))
    rows = "c,train_x,s,CC0,cutout,c.png,a.png,", "b,train,s,CC0,background,b.png,,", "x,raw,s,CC0,image,x.png,,"
    (composite,) = composites(write(tmp_path, *rows), 1)
    assert (composite.image == 162).all() and composite.alpha[0, 0] == np.float32(0.2)


def test_composites_are_the_same_every_time_and_use_every_cutout(material):
    once, again = (list(composites(material, 6)) for _ in range(2))
    assert len(once) == 6
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert len({composite.image.tobytes() for composite in once[:4]}) == 4


def test_images_of_validation_are_not_calibrated_on(tmp_path):
    write(tmp_path, "c,val,s,CC0,cutout,c.png,,", "b,train,s,CC0,background,b.png,,")
    with pytest.raises(InputError, match="0 cut-outs and 1 backgrounds in its training splits"):
        list(composites(tmp_path, 1))


@pytest.mark.parametrize(
    "content", [b"", b"text", cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()]
)
def test_a_cutout_that_is_none(tmp_path, content):
    (tmp_path / "c.png").write_bytes(content)
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((4, 4, 3), np.uint8))
    write(tmp_path, "c,train,s,CC0,cutout,c.png,,", "b,train,s,CC0,background,b.png,,")
    with pytest.raises(ImageError, match=r"c\.png: expected a readable 8-bit RGBA image"):
        list(composites(tmp_path, 1))


def test_what_a_graph_is_given(material):
    inputs = ["image", "trimap", "prior"]
    image, all_three = (feeds(composites(material, 2), names, 32, 64) for names in (inputs[:1], inputs))
    assert [list(feed) for feed in image + all_three] == [["image"]] * 2 + [inputs] * 4
    for feed in image + all_three:
        for name, value in feed.items():
            assert value.shape == (1, 1 if name == "prior" else 3, 64, 64) and value.dtype == np.float32
    without, trimap = (feed["trimap"] for feed in all_three[:2])
    assert not without.any() and not all_three[0]["prior"].any()
    np.testing.assert_allclose(trimap.sum(axis=1), 1, atol=1e-6)
    assert (trimap[0] == 1).any(axis=(1, 2)).all(), "background, unknown and foreground"
