import io

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import InputError
from jointmat.predictor import Predictor

pa = pytest.importorskip("pyarrow")
from jointmat.ray import Matting
from tests.ray.conftest import encoded


def levels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_rows_have_what_was_asked_for_in_place_of_the_images(model):
    images = [encoded(0), encoded(1)]
    table = Matting(("cutout", "alpha"), model=model)({"id": np.array([7, 8]), "bytes": np.array(images, object)})
    assert table.column_names == ["id", "cutout", "alpha", "coverage", "error"]
    assert table["id"].to_pylist() == [7, 8] and table["error"].null_count == 2
    for image, row in zip(images, table.to_pylist(), strict=True):
        matte = Predictor(model).matte(image)
        assert np.array_equal(levels(row["cutout"]), matte.cutout())
        assert np.array_equal(levels(row["alpha"]), matte.cutout()[..., 3])
        assert row["coverage"] == pytest.approx(matte.coverage)


def test_paths_are_read(model, photos):
    address = (photos / "b.png").as_uri()
    table = Matting(("alpha",), model=model)(pa.table({"path": [str(photos / "b.png"), address]}))
    first, second = table["alpha"].to_pylist()
    assert first == second and table["path"].to_pylist()[1] == address


@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_that_cannot_be_used_is_a_row_with_its_error(model, threads, photos):
    missing = str(photos / "none.jpg")
    table = Matting(model=model, threads=threads)({"path": [missing, str(photos / "a.png"), "s3:// /"]})
    assert table["cutout"].is_null().to_pylist() == [True, False, True]
    errors = table["error"].to_pylist()
    assert "no such file" in errors[0] and errors[1] is None and "\n" not in errors[2]
    assert table["coverage"].null_count == 2


def test_batches_without_any_result_have_the_same_columns(model):
    good, bad = (Matting(model=model)({"bytes": [data]}) for data in (encoded(0), b"no image"))
    assert good.schema == bad.schema


@pytest.mark.parametrize(
    ("outputs", "format", "says"),
    [(["mask"], "png", "mask"), (["cutout"], "jpg", "JPEG"), (["alpha"], "gif", "gif")],
)
def test_what_cannot_be_written_is_refused_before_the_work(model, outputs, format, says):
    with pytest.raises(InputError, match=says):
        Matting(outputs, format=format, model=model)


def test_a_batch_without_images_is_refused(model):
    with pytest.raises(InputError, match="bytes"):
        Matting(model=model)({"image": [b""]})
