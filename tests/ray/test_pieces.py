"""Pieces, done in this process."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import InputError
from jointmat.predictor import Predictor

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: I001
from jointmat.ray.pieces import RECORDS, Pieces, pieces_of
from jointmat.ray.store import Store
from tests.ray.conftest import encoded


@pytest.fixture
def work(model, tmp_path):
    """Does what is left from `in` to `out`, or the first pieces of it; returns their answers."""

    def work(most=None, size=2, **settings):
        source, target = str(tmp_path / "in"), str(tmp_path / "out")
        pieces, _ = pieces_of(Store(source), Store(target), settings.get("format", "png"), size)
        do = Pieces(source, target, {"outputs": ["cutout"], "model": model, **settings})
        return [do(piece) for piece in pieces[:most]]

    return work


def records(folder):
    return {row["name"]: row for row in pq.read_table(folder / RECORDS).to_pylist()}


def test_a_folder_is_mirrored_with_a_record_of_every_image(work, photos, tmp_path, model):
    answers = work()
    out = tmp_path / "out"
    written = {
        str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and RECORDS not in path.parts
    }
    assert written == {"a.png", "b.png", "more/a.png", "more/c.png"}
    for name in written:
        source = photos / name if (photos / name).exists() else photos / "more/c.jpg"
        assert np.array_equal(np.asarray(Image.open(out / name)), Predictor(model).matte(source).cutout())
    assert sum(answer["units"] for answer in answers) == sum(answer["images"] for answer in answers) == 5
    found = records(out)
    assert found["more/c.jpg"]["result"] == "more/c.png" and 0 < found["more/c.jpg"]["coverage"] < 1
    assert "not an image" in found["broken.jpg"]["error"] and found["broken.jpg"]["result"] is None
    assert [line for answer in answers for line in answer["failed"]] == [
        f"broken.jpg: {found['broken.jpg']['error']}"
    ]


def test_only_what_has_no_record_is_done_again_whatever_the_pieces_are(work, photos, tmp_path):
    work(1)
    out = tmp_path / "out"
    first = records(out)
    assert len(first) == 2
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    (photos / "aa.png").write_bytes(encoded(9))
    answers = work(size=3)
    assert sum(answer["units"] for answer in answers) == 4
    assert len(records(out)) == 6 == sum(len(pq.read_table(path)) for path in (out / RECORDS).iterdir())
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert work() == []


def test_a_piece_whose_record_is_there_is_not_made_again(model, photos, tmp_path):
    source, target = str(photos), str(tmp_path / "out")
    (piece,), done = pieces_of(Store(source), Store(target), "png", 9)
    assert done == 0
    do = Pieces(source, target, {"outputs": ["cutout"], "model": model})
    answer = do(piece)
    (tmp_path / "out" / "a.png").unlink()
    assert do(piece) == answer and not (tmp_path / "out" / "a.png").exists()


def test_an_image_that_vanished_is_a_row(work, photos, model, tmp_path):
    source, target = str(photos), str(tmp_path / "out")
    (piece,), _ = pieces_of(Store(source), Store(target), "png", 9)
    (photos / "b.png").unlink()
    answer = Pieces(source, target, {"outputs": ["cutout"], "model": model})(piece)
    assert [line.partition(":")[0] for line in answer["failed"]] == ["b.png", "broken.jpg"]


def test_names_that_differ_in_their_extension_alone_keep_it(work, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.jpg"):
        (tmp_path / "in" / name).write_bytes(encoded(0))
    work(format="webp")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.webp")) == ["a.jpg.webp", "a.png.webp"]


def members(**files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


def test_a_tar_becomes_a_tar(work, tmp_path):
    (tmp_path / "in").mkdir()
    samples = members(x_jpg=encoded(0), x_txt=b"text", x_mask_png=encoded(1), y_png=b"no image", z_png=encoded(2))
    (tmp_path / "in" / "000.tar").write_bytes(samples)
    (tmp_path / "in" / "001.tar").write_bytes(samples[:1000])
    whole, cut = work(outputs=["alpha"])
    assert whole["images"] == 3 and len(whole["failed"]) == 1 and "001.tar" in cut["failed"][0]
    with tarfile.open(tmp_path / "out" / "000.tar") as tar:
        assert tar.getnames() == ["x.png", "x.json", "y.json", "z.png", "z.json"]
        assert "not an image" in json.load(tar.extractfile("y.json"))["error"]
        assert Image.open(tar.extractfile("z.png")).mode == "L"
    assert not (tmp_path / "out" / "001.tar").exists()
    assert work() == []


def test_row_groups_of_parquet_become_files(work, tmp_path):
    (tmp_path / "in").mkdir()
    images = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(3)] + [{"bytes": b"?", "path": "x"}]
    pq.write_table(pa.table({"id": range(4), "image": images}), tmp_path / "in" / "d.parquet", row_group_size=2)
    answers = work()
    assert [answer["images"] for answer in answers] == [2, 2] and len(answers[1]["failed"]) == 1
    table = pa.concat_tables(pq.read_table(tmp_path / "out" / f"d-0000{i}.parquet") for i in range(2))
    assert table.column_names == ["id", "cutout", "coverage", "error"] and table["id"].to_pylist() == [0, 1, 2, 3]
    assert table["cutout"].is_null().to_pylist() == [False, False, False, True]
    assert records(tmp_path / "out")["d.parquet#1/1"]["error"] == table["error"][3].as_py()


@pytest.mark.parametrize(("name", "says"), [("d.parquet", "Parquet"), ("d.txt", "no images")])
def test_what_holds_no_images_is_refused(work, tmp_path, name, says):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"nothing")
    with pytest.raises(InputError, match=says):
        work()


def test_an_unknown_kind_of_address_is_refused():
    with pytest.raises(InputError, match="s3://"):
        Store("nowhere://x")
