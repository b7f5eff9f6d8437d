"""From names on the command line to files; what the commands do with them is in the commands' tests."""

import pytest

from jointmat.cli.files import Source, check_targets, choose_targets, find_sources, split_output
from jointmat.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """a.png, a.jpg, notes.txt, .hidden.png, a link, and b.webp in a subfolder; the working directory."""
    for name in ("in/a.png", "in/a.jpg", "in/notes.txt", "in/.hidden.png", "in/sub/b.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in/link.png").symlink_to(tmp_path / "in/a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("recursive", "more"), [(False, []), (True, ["in/sub/b.webp"])])
def test_a_folder_gives_its_images_and_counts_the_rest(folder, recursive, more):
    sources, left_out = find_sources(["in"], None, recursive=recursive)
    assert sources == [Source(name, "in") for name in ["in/a.jpg", "in/a.png", *more]]
    assert left_out == {"in": {"hidden": 1, "links": 1, ".txt": 1}}


def test_the_output_folder_is_not_searched_for_inputs(folder):
    sources, _ = find_sources(["in"], "in/sub", recursive=True)
    assert [source.name for source in sources] == ["in/a.jpg", "in/a.png"]


def test_patterns_are_expanded_and_names_are_taken_as_they_are(folder):
    assert [s.name for s in find_sources(["in/a.*", "none.png"], None, recursive=False)[0]] == [
        *("in/a.jpg", "in/a.png"),
        "none.png",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("https://example.org/a.jpg", "a URL; download it"),
        ("a.mp4", "use jointmat video"),
        ("in/sub/empty", "no images in this folder"),
    ],
)
def test_names_that_are_no_image(folder, name, text):
    (folder / "in/sub/empty").mkdir()
    with pytest.raises(InputError, match=text):
        find_sources([name], None, recursive=False)


def test_a_second_name_is_the_output_if_it_does_not_exist(folder):
    assert split_output(["in/a.png", "out.png"], None) == (["in/a.png"], "out.png")
    assert split_output(["in/a.png", "out/"], None) == (["in/a.png"], "out/")
    for images in (["in/a.png", "in/a.jpg"], ["in/a.png", "x.gif"], ["a", "b", "c.png"]):
        assert split_output(images, None) == (images, None)


@pytest.mark.parametrize(
    ("sources", "output", "expected"),
    [
        ([Source("in/a.png")], "out.webp", ["out.webp"]),
        ([Source("in/a.png")], "out/", ["out/a.png"]),
        ([Source("in/a.png")], None, ["in/a-cutout.png"]),
        ([Source("in/sub/b.webp", "in")], None, ["in-cutout/sub/b.png"]),
        ([Source("in/sub/b.webp", "in")], "out", ["out/sub/b.png"]),
        ([Source("in/a.png"), Source("in/a.jpg")], "out", ["out/a.png.png", "out/a.jpg.png"]),
        ([Source("x/A.png"), Source("y/a.gif")], "out", ["out/A.png", "out/a-2.png"]),
        ([Source("x/a.png", "x"), Source("y/a.png", "y")], "out", ["out/x/a.png", "out/y/a.png"]),
        ([Source("-")], None, ["stdin-cutout.png"]),
    ],
)
def test_every_image_gets_a_file_of_its_own(folder, sources, output, expected):
    targets, _ = choose_targets(sources, output, "png", "cutout")
    assert targets == expected


@pytest.mark.parametrize(
    ("count", "output", "text"),
    [
        (2, "-", "one image, got 2"),
        (1, "out", "no extension"),
        (2, "in/a.png", "is a file"),
        (2, "o.png", "folder"),
    ],
)
def test_outputs_that_cannot_be(folder, count, output, text):
    with pytest.raises(InputError, match=text):
        choose_targets([Source("in/a.png"), Source("in/a.jpg")][:count], output, "png", "cutout")


def test_nothing_is_overwritten_unless_asked(folder):
    def check(target, **options):
        check_targets([target], ["in/a.png"], **({"transparent": False, "overwrite": False} | options))

    with pytest.raises(InputError, match="is an input"):
        check("in/../in/a.png")
    with pytest.raises(InputError, match=r"exists; add --overwrite .*--skip-existing"):
        check("in/a.jpg")
    with pytest.raises(InputError, match="JPEG has no alpha"):
        check("new.jpg", transparent=True)
    for options in ({"overwrite": True}, {"skip": True}):
        check("in/a.jpg", **options)
    check("new.jpg")
