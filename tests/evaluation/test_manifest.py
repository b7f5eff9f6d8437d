"""Tables of images and of what is known about them."""

import dataclasses

import numpy as np
import pytest

from jointmat.errors import InputError
from jointmat.evaluation.manifest import Kind, check_names, read_manifest
from jointmat.io.write import save_image

HEAD = "id,split,source,licence,kind,image,label,trimap\n"
ROWS = (
    "m,train,masks,CC0,mask,m.jpg,m.png,",
    "c,train_cutout,cutouts,see masks,cutout,c.png,,",
    "b,train,bg,MIT,background,b.jpg,,",
    "a,val,mattes,CC0,alpha,a.jpg,a.png,t.png",
)


def write(folder, *rows, head=HEAD, encoding="utf-8"):
    (folder / "manifest.csv").write_text(head + "".join(f"{row}\n" for row in rows), encoding=encoding)
    return folder


def test_every_row_is_an_item(tmp_path):
    mask, cutout, background, alpha = read_manifest(write(tmp_path, *ROWS), ["*"])
    assert (mask.kind, mask.split, mask.source, mask.name) == (Kind.MASK, "train", "masks", "m")
    assert (mask.image, mask.label, mask.trimap) == (tmp_path / "m.jpg", tmp_path / "m.png", None)
    assert (cutout.kind, cutout.split, cutout.label) == (Kind.CUTOUT, "train_cutout", None)
    assert (background.kind, alpha.kind) == (Kind.BACKGROUND, Kind.ALPHA)
    assert (alpha.split, alpha.trimap, alpha.weight) == ("val", tmp_path / "t.png", None)


def test_only_what_is_asked_for(tmp_path):
    write(tmp_path, *ROWS)
    assert [i.name for i in read_manifest(tmp_path, ["train"])] == ["m", "b"]
    assert [i.name for i in read_manifest(tmp_path, ["train*"])] == ["m", "c", "b"]
    assert [i.name for i in read_manifest(tmp_path, ["*"], ["bg", "mattes"])] == ["b", "a"]
    assert [i.name for i in read_manifest(tmp_path, ["*"], exclude=["m", "mattes/a", "bg/m"])] == ["c", "b"]
    for splits in (["test"], []):
        with pytest.raises(InputError, match=r"manifest\.csv: no items in splits .* and sources any"):
            read_manifest(tmp_path, splits)


def test_what_it_lacks_is_named(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.csv: no such file; expected a folder with a manifest\.csv"):
        read_manifest(tmp_path, ["train"])
    write(tmp_path, head="id,source,licence,kind,image,label\n")
    with pytest.raises(InputError, match=r"manifest\.csv: no column split, trimap; expected id, split, source"):
        read_manifest(tmp_path, ["train"])
    write(tmp_path, "a,train,s,CC0,cut-out,a.png,,")
    with pytest.raises(InputError, match="a has kind 'cut-out'; expected cutout, alpha, mask, background"):
        read_manifest(tmp_path, ["train"])


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff\xe0", HEAD.encode("utf-16"), b"id," + b"x" * 200_000], ids=len
)
def test_a_file_that_is_no_table(tmp_path, content):
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.csv: not a table of comma-separated values in UTF-8"):
        read_manifest(tmp_path, ["train"])


def test_a_table_as_spreadsheets_write_it(tmp_path):
    write(tmp_path, "a,train,s,CC0,background,a.png", encoding="utf-8-sig")
    [item] = read_manifest(tmp_path, ["train"])
    assert (item.kind, item.image, item.label, item.trimap) == (Kind.BACKGROUND, tmp_path / "a.png", None, None)
    with pytest.raises(InputError, match="a: no label to compare with"):
        item.alpha()


def test_the_label_as_alpha(tmp_path):
    save_image(tmp_path / "a.png", np.array([[0, 51, 255]], np.uint8))
    (item,) = read_manifest(write(tmp_path, *ROWS), ["val"])
    np.testing.assert_allclose(item.alpha(), [[0, 0.2, 1]], atol=1e-6)


def test_the_licence_of_another_entry_of_the_source_is_written_out(tmp_path):
    write(tmp_path, *ROWS, "m2,train,masks,see m,mask,m2.jpg,m2.png,")
    assert [i.licence for i in read_manifest(tmp_path, ["*"], ["masks"])] == ["CC0", "CC0"]
    assert [i.licence for i in read_manifest(tmp_path, ["*"], ["cutouts"])] == ["see masks"]  # another source


def test_names_are_of_one_item_each(tmp_path):
    items = read_manifest(write(tmp_path, *ROWS), ["*"])
    check_names(items)
    with pytest.raises(InputError, match=r"m2\.jpg and .*m\.jpg share the name m, .*rename one"):
        check_names([*items, dataclasses.replace(items[0], image=tmp_path / "m2.jpg")])
