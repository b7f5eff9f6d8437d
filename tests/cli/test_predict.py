"""The command as a user runs it: exit codes, one line on stderr, whole files or none."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import termios
import time
import weakref
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from jointmat.cli import predict as command
from jointmat.cli.errors import SomeFailed
from jointmat.cli.main import cli
from jointmat.errors import ImageTooLarge, InputError, JointmatError
from jointmat.predictor import Predictor
from tests.fakes import brightness_model

COMMAND = [sys.executable, "-m", "jointmat"]
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def portrait(tmp_path):
    return draw(tmp_path / "portrait.png")


def draw(path, size=(48, 40)):
    image = np.zeros((*size, 3), np.uint8)
    image[10:30, 10:30] = 255
    Image.fromarray(image).save(path)
    return path


def run(*arguments, **options):
    options = {"capture_output": True, "timeout": 60, **options}
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=ROOT, check=False, **options)


def predict(model, *arguments, **options):
    return run("predict", *arguments, "--model", model, **options)


def predict_here(model, *arguments):
    """Without a new interpreter, for what does not depend on how the command ends."""
    cli.main(["predict", *map(str, arguments), "--model", str(model)], standalone_mode=False)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def failed(result, code, *parts):
    """It ended with this code and one line that holds these parts."""
    lines = result.stderr.decode().strip().splitlines()
    assert result.returncode == code, lines
    assert len(lines) == 1 and "Traceback" not in lines[0], lines
    for part in parts:
        assert part in lines[0]


def pixels(path):
    return np.asarray(Image.open(path))


def test_one_file(model, portrait, tmp_path):
    out = tmp_path / "cutout.png"
    result = predict(model, portrait, "-o", out)
    assert result.returncode == 0 and result.stderr.startswith(b"wrote ") and result.stderr.count(b"\n") == 1
    assert pixels(out).shape == (48, 40, 4) and pixels(out)[20, 20, 3] == 255 and pixels(out)[0, 0, 3] == 0


def test_only_alpha_background_and_trimap(model, portrait, tmp_path):
    trimap = tmp_path / "trimap.png"
    Image.fromarray(np.full((48, 40), 255, np.uint8)).save(trimap)
    assert predict(model, portrait, "-o", tmp_path / "a.png", "--only-alpha").returncode == 0
    assert predict(model, portrait, "-o", tmp_path / "b.jpg", "--background", "#0000ff").returncode == 0
    assert predict(model, portrait, "-o", tmp_path / "c.png", "--only-alpha", "--trimap", trimap).returncode == 0
    assert pixels(tmp_path / "a.png").shape == (48, 40)
    assert np.abs(pixels(tmp_path / "b.jpg")[2, 2].astype(int) - [0, 0, 255]).max() < 8
    assert (pixels(tmp_path / "c.png") == 255).all()


def test_subject_and_ways_of_compositing(model, tmp_path):
    image = np.zeros((40, 80, 3), np.uint8)
    image[8:24, 8:24] = image[8:32, 44:76] = 255
    Image.fromarray(image).save(tmp_path / "two.png")
    predict_here(model, tmp_path / "two.png", "-o", tmp_path / "a.png", "--only-alpha", "--subject", "largest")
    assert pixels(tmp_path / "a.png")[20, 60] == 255 and pixels(tmp_path / "a.png")[16, 16] == 0
    predict_here(model, tmp_path / "two.png", "-o", tmp_path / "b.png", "--only-alpha", "--subject", "16,16")
    assert pixels(tmp_path / "b.png")[20, 60] == 0 and pixels(tmp_path / "b.png")[16, 16] == 255
    ways = "--background", "blur", "--light", "linear", "--fit", "fit", "--fill-holes"
    predict_here(model, tmp_path / "two.png", "-o", tmp_path / "c.png", *ways)
    assert pixels(tmp_path / "c.png").shape == (40, 80, 3)
    with pytest.raises(InputError, match="expected all, largest or x,y"):
        predict_here(model, tmp_path / "two.png", "-o", tmp_path / "d.png", "--subject", "left")


def test_a_folder_and_stems_that_collide(model, tmp_path):
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "b.png", "more/b.png", "ünï cödé\n.png"):
        draw(photos / name)
    (photos / "notes.txt").write_text("not an image")
    out = tmp_path / "out"
    result = predict(model, photos, "-o", out)
    left, wrote = result.stderr.decode().splitlines()  # no progress bar: this is no terminal
    assert result.returncode == 0 and "skipped 1 .txt" in left and wrote.startswith("wrote 4 images to ")
    assert sorted(p.name for p in out.iterdir()) == ["a.jpg.png", "a.png.png", "b.png", "ünï cödé\n.png"]
    assert predict(model, photos, "-o", tmp_path / "all", "--recursive").returncode == 0
    assert (tmp_path / "all" / "more" / "b.png").is_file() and len(list((tmp_path / "all").iterdir())) == 5


def test_links_to_folders_are_not_followed(model, tmp_path):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    photos.mkdir()
    elsewhere.mkdir()
    draw(photos / "a.png")
    draw(elsewhere / "b.png")
    (photos / "loop").symlink_to(photos)
    (photos / "out of here").symlink_to(elsewhere)
    assert predict(model, photos, "-o", tmp_path / "out", "--recursive").returncode == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]


def test_every_image_gets_a_file_of_its_own(model, tmp_path):
    sources = [
        tmp_path / name for name in ("a.jpg", "a.png", "a.jpg.png", "b.png", "B.png", "c.png", "more/c.png")
    ]
    (tmp_path / "more").mkdir()
    for index, source in enumerate(sources):
        draw(source, (20 + index, 20))
    out = tmp_path / "out"
    predict_here(model, *sources, "-o", out, "--only-alpha")
    assert sorted(pixels(path).shape[0] for path in out.iterdir()) == [20, 21, 22, 23, 24, 25, 26]
    assert len({name.casefold() for name in names(out)}) == 7  # also where A is a


def test_links_to_files_are_not_followed(model, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    draw(photos / "a.png")
    (photos / "link.png").symlink_to(draw(tmp_path / "elsewhere.png"))
    (photos / "loop.png").symlink_to(photos / "loop.png")
    for index, options in enumerate(((), ("--recursive",))):
        predict_here(model, photos, "-o", tmp_path / str(index), *options)
        assert names(tmp_path / str(index)) == ["a.png"]


def test_a_link_that_leads_to_itself_is_one_line(model, tmp_path):
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    failed(predict(model, loop, "-o", tmp_path / "out.png"), 2, "loop.png")


def test_names_that_are_too_long_or_break_the_line(model, tmp_path):
    out = tmp_path / "out.png"
    failed(predict(model, tmp_path / ("a" * 300), "-o", out), 2, "too long")
    failed(predict(model, tmp_path / "no\nsuch.png", "-o", out), 2, r"no\nsuch.png")
    (tmp_path / "empty\nfolder").mkdir()
    failed(predict(model, tmp_path / "empty\nfolder", "-o", out), 2, r"empty\nfolder")


def test_a_folder_that_cannot_be_listed_does_not_stop_the_others(model, portrait, capsys):
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        (photos / "locked").mkdir(parents=True, mode=0o700)
        draw(photos / "a.png")
        draw(photos / "locked" / "b.png")
        out.mkdir()
        out.chmod(0o777)
        usable = brightness_model(Path(folder) / "brightness.onnx")
        for path, mode in {folder: 0o755, photos: 0o755, photos / "a.png": 0o644, usable: 0o644}.items():
            Path(path).chmod(mode)  # whatever the umask
        (photos / "locked").chmod(0o700 if root else 0)
        if root:
            predict_here(
                usable, portrait, "-o", portrait.parent / "first.png"
            )  # imports what nobody may not read
            os.seteuid(65534)
        try:
            with pytest.raises(JointmatError, match=r"1 of 2 images failed: .*locked"):
                predict_here(usable, photos, "-o", out, "--recursive")
        finally:
            if root:
                os.seteuid(0)
            (photos / "locked").chmod(0o700)
        assert names(out) == ["a.png"]
    assert "locked: this folder cannot be listed" in capsys.readouterr().err


def test_standard_input_and_output(model, portrait):
    result = predict(model, "-", "-o", "-", input=portrait.read_bytes())
    assert result.returncode == 0 and result.stdout.startswith(b"\x89PNG")


def test_standard_output_holds_one_image(model, portrait, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="one image, got 2"):
        predict_here(model, portrait, portrait, "-o", "-")
    assert names(tmp_path) == ["portrait.png"]


def test_standard_input_that_never_ends_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_MOST_OF_STDIN", 1000)
    with open("/dev/zero") as endless, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdin", endless)
        with pytest.raises(InputError, match="stdin: more than 1000 bytes"):
            predict_here(model, "-", "-o", tmp_path / "out.png")
    assert names(tmp_path) == []


def test_a_broken_file_does_not_stop_the_others(model, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    draw(photos / "good.png")
    (photos / "bad.png").write_bytes(b"")
    result = predict(model, photos, "-o", tmp_path / "out")
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 1 and (tmp_path / "out" / "good.png").is_file()
    assert not (tmp_path / "out" / "bad.png").exists()
    assert any("bad.png" in line and "empty" in line for line in lines)
    assert any("1 of 2 images failed" in line for line in lines) and "Traceback" not in result.stderr.decode()


def test_one_bad_file_among_many_is_counted_and_memory_does_not_grow(model, tmp_path, monkeypatch, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for index in range(60):
        draw(photos / f"{index:02}.png")
    (photos / "17.png").write_bytes(b"\x89PNG")
    mattes, alive = [], []
    matte = Predictor.matte

    def watched(self, *arguments, **options):
        found = matte(self, *arguments, **options)
        mattes.append(weakref.ref(found))
        alive.append(sum(made() is not None for made in mattes))
        return found

    monkeypatch.setattr(Predictor, "matte", watched)
    with pytest.raises(SomeFailed, match=r"^1 of 60 images failed: \S+/17\.png$"):
        predict_here(model, photos, "-o", out, "--jobs", "2")
    assert names(out) == sorted({path.name for path in photos.iterdir()} - {"17.png"})
    said = capsys.readouterr().err
    assert said.count("error: ") == 1 and "17.png: not an image" in said and "wrote 59 images" in said
    assert max(alive) <= 4  # of two at work, not of all


def test_inputs_that_are_no_images(model, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    out = tmp_path / "out.png"
    failed(predict(model, tmp_path / "none.png", "-o", out), 2, "none.png", "no such file")
    failed(predict(model, fifo, "-o", out), 2, "fifo")
    failed(predict(model, "/dev/zero", "-o", out), 2, "/dev/zero")
    (tmp_path / "nothing").mkdir()
    failed(predict(model, tmp_path / "nothing", "-o", out), 2, "no images in this folder")
    assert not out.exists()


def test_outputs_that_cannot_be(model, portrait, tmp_path):
    failed(predict(model, portrait, "-o", tmp_path / "no" / "out.png"), 2, "no such folder")
    failed(predict(model, portrait, "-o", tmp_path / "out.xyz"), 2, "xyz")
    failed(predict(model, portrait, "-o", tmp_path / "out.jpg"), 2, "png")  # a cut-out needs transparency
    failed(predict(model, portrait, portrait, "-o", portrait), 2, "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["portrait.png"]


def test_an_output_folder_that_cannot_be_made(model, portrait):
    failed(predict(model, portrait, portrait, "-o", portrait / "out"), 2, "portrait.png")


def test_what_no_image_could_be_written_as_is_refused_at_once(model, portrait, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="JPEG has no alpha"):
        predict_here(model, portrait, portrait, "-o", out, "--format", "jpg")
    with pytest.raises(click.BadParameter, match="'xyz' is not one of"):
        predict_here(model, portrait, portrait, "-o", out, "--format", "xyz")
    with pytest.raises(InputError, match="no such file"):
        predict_here(model, portrait, portrait, "-o", out, "--background", tmp_path / "none.png")
    assert not out.exists() or names(out) == []
    predict_here(model, portrait, portrait, "-o", out, "--format", "JPG", "--only-alpha")
    assert len(names(out)) == 2 and all(name.endswith(".jpg") for name in names(out))


def test_what_could_not_be_written_is_refused_before_the_network_runs(model, portrait, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "matte", None)  # would be a TypeError
    for name in ("out.xyz", "out.bmp"):
        with pytest.raises(InputError, match=rf"{name}: got the format .* expected one of png"):
            predict_here(model, portrait, "-o", tmp_path / name)
    with pytest.raises(InputError, match=r"out: no extension; end it with \.png, or with / for a folder"):
        predict_here(model, portrait, "-o", tmp_path / "out")


def test_a_name_that_ends_as_a_folders_is_one(model, portrait, tmp_path):
    predict_here(model, portrait, "-o", f"{tmp_path}/new/")
    assert names(tmp_path / "new") == ["portrait.png"]


def test_an_image_for_which_memory_is_short_does_not_stop_the_others(
    model, portrait, tmp_path, monkeypatch, capsys
):
    other = tmp_path / "other.png"
    other.write_bytes(portrait.read_bytes())
    real = Predictor.matte

    def matte(self, image, **settings):
        if image == str(portrait):
            raise MemoryError
        return real(self, image, **settings)

    monkeypatch.setattr(Predictor, "matte", matte)
    with pytest.raises(SomeFailed, match="1 of 2 images failed"):
        predict_here(model, portrait, other, "-o", tmp_path / "out")
    assert "portrait.png: not enough memory" in capsys.readouterr().err
    assert names(tmp_path / "out") == ["other.png"]


def test_a_background_may_have_as_many_pixels_as_a_photo(model, portrait, tmp_path):
    background = tmp_path / "background.png"
    Image.new("RGB", (200, 200)).save(background)
    options = (model, portrait, "-o", tmp_path / "out.png", "--background", background)
    with pytest.raises(ImageTooLarge, match=r"background\.png"):
        predict_here(*options, "--max-pixels", "30000")
    predict_here(*options, "--max-pixels", "40000")


def test_a_limit_above_the_usual_one_holds_for_the_background_to_the_end(model, portrait, tmp_path, monkeypatch):
    background, checked = tmp_path / "background.png", []
    Image.new("RGB", (200, 200)).save(background)

    def noted(source, image, alpha, fit, max_pixels, color):
        checked.append(max_pixels)
        return image

    monkeypatch.setattr("jointmat.matte.backdrop", noted)
    options = ("--background", background, "--max-pixels", "60000000")
    predict_here(model, portrait, "-o", tmp_path / "out.png", *options)
    assert checked == [60_000_000]


def test_one_background_serves_all_images(model, portrait, tmp_path):
    background = tmp_path / "background.png"
    Image.new("RGB", (9, 9), (10, 200, 30)).save(background)
    out = tmp_path / "out"
    predict_here(model, portrait, portrait, "-o", out, "--background", background)
    assert len(names(out)) == 2
    for path in out.iterdir():
        assert (pixels(path)[0, 0] == (10, 200, 30)).all()


def test_an_existing_folder_takes_a_single_image(model, portrait, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert predict(model, portrait, "-o", out).returncode == 0
    assert (out / "portrait.png").is_file()


def test_the_input_is_not_replaced_unless_asked(model, portrait):
    before = portrait.read_bytes()
    failed(predict(model, portrait, "-o", portrait), 2, "--overwrite")
    assert portrait.read_bytes() == before
    failed(predict(model, portrait.parent, "-o", portrait.parent), 2, "--overwrite")
    assert portrait.read_bytes() == before
    assert predict(model, portrait, "-o", portrait, "--overwrite").returncode == 0
    assert portrait.read_bytes() != before


@pytest.mark.parametrize("option", ["--background", "--trimap"])
def test_neither_background_nor_trimap_is_replaced(model, portrait, tmp_path, option):
    other = draw(tmp_path / "other.png")
    before = other.read_bytes()
    with pytest.raises(InputError, match="is an input"):
        predict_here(model, portrait, "-o", other, option, other)
    assert other.read_bytes() == before


def test_options_that_exclude_each_other(model, portrait, tmp_path):
    out = tmp_path / "o.png"
    failed(predict(model, portrait, "-o", out, "--only-alpha", "--background", "#fff"), 2, "exclude each other")
    failed(predict(model, portrait, portrait, "-o", out, "--trimap", portrait), 2, "one image")
    failed(predict(model, portrait, "-o", out, "--background", "#zz"), 2, "expected #rrggbb")
    failed(run("predict", portrait, "-o", out, "--model", "huge"), 2, "available:")


def test_an_unreadable_folder_is_named(model, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root can read everything")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    failed(predict(model, locked, "-o", tmp_path / "out"), 2, "locked")


def test_interrupt_leaves_whole_files_only(model, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for index in range(3):
        draw(photos / f"{index}.png")
    process = subprocess.Popen(
        [*COMMAND, "predict", str(photos), "-", "-o", str(out), "--model", str(model)],
        cwd=ROOT,
        stdin=subprocess.PIPE,  # never written to: the fourth image does not come
        stderr=subprocess.PIPE,
        # A shell's background job ignores the signal, and hands that down to what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    names = {"0.png", "1.png", "2.png"}
    while process.poll() is None and not (out.is_dir() and names <= {p.name for p in out.iterdir()}):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    stderr = process.stderr.read()
    assert process.returncode == 130 and b"interrupted" in stderr and b"Traceback" not in stderr
    assert {p.name for p in out.iterdir()} == names
    assert all(pixels(path).shape == (48, 40, 4) for path in out.iterdir())


def test_nobody_reading_is_no_error(model, portrait):
    process = subprocess.Popen(
        [*COMMAND, "predict", str(portrait), "-o", "-", "--model", str(model)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


def test_a_warning_is_one_line(model, tmp_path):
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    result = predict(model, path, "-o", tmp_path / "out.png")
    assert result.returncode == 0
    warnings = [line for line in result.stderr.decode().splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2 and "more than one frame" in warnings[0]
    assert "moving.gif: no person found" in warnings[1]


def test_a_terminal_shows_progress(model, portrait, tmp_path):
    terminal, end = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))  # it has no columns to draw in at first
    try:
        predict(model, portrait, portrait, "-o", tmp_path / "out", capture_output=False, stderr=end)
        assert b"2/2" in os.read(terminal, 10_000)
    finally:
        os.close(terminal)
        os.close(end)


def test_without_an_output_it_lies_beside_the_input(model, portrait):
    predict_here(model, portrait)
    predict_here(model, portrait, "--only-alpha")
    predict_here(model, portrait, "--background", "white", "--format", "jpg")
    assert names(portrait.parent) == [
        "portrait-alpha.png",
        "portrait-composite.jpg",
        "portrait-cutout.png",
        "portrait.png",
    ]
    photos = portrait.parent / "photos"
    photos.mkdir()
    draw(photos / "a.png")
    predict_here(model, photos)
    assert names(portrait.parent / "photos-cutout") == ["a.png"] and names(photos) == ["a.png"]


def test_the_second_name_may_be_the_output(model, portrait):
    predict_here(model, portrait, portrait.parent / "out.png")
    predict_here(model, portrait, f"{portrait.parent}/new/")
    assert names(portrait.parent) == ["new", "out.png", "portrait.png"]


def test_a_file_name_is_no_folder_for_two(model, portrait):
    with pytest.raises(InputError, match=r"two\.png: a file name for 2 images; name a folder"):
        predict_here(model, portrait, portrait, "-o", portrait.parent / "two.png")
    assert names(portrait.parent) == ["portrait.png"]


def test_results_are_not_replaced_unless_asked(model, tmp_path, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    draw(photos / "a.png")
    predict_here(model, photos, "-o", out)
    (out / "a.png").write_bytes(b"precious")
    draw(photos / "b.png")
    with pytest.raises(InputError, match=r"a\.png: exists; add --overwrite .* --skip-existing"):
        predict_here(model, photos, "-o", out)
    assert names(out) == ["a.png"]
    predict_here(model, photos, "-o", out, "--skip-existing")
    assert names(out) == ["a.png", "b.png"] and (out / "a.png").read_bytes() == b"precious"
    assert "kept 1 existing" in capsys.readouterr().err
    predict_here(model, photos, "-o", out, "--skip-existing")
    assert "all 2 results exist" in capsys.readouterr().err
    predict_here(model, photos, "-o", out, "--overwrite")
    assert pixels(out / "a.png").shape == (48, 40, 4)


def test_recursive_mirrors_the_folders_and_leaves_its_own_output_out(model, tmp_path, capsys):
    photos = tmp_path / "photos"
    for folder in ("anna", "ben", ".hidden", "out"):
        (photos / folder).mkdir(parents=True)
    for name in ("anna/01.jpg", "ben/01.jpg", "ben/01.png", ".hidden/x.png", "out/old.png", "._02.jpg"):
        draw(photos / name)
    for name in ("a.cr2", "b.CR2", "c.nef", "README"):
        (photos / name).touch()
    for _ in range(2):
        predict_here(model, photos, "-o", photos / "out", "--recursive", "--overwrite", "--only-alpha")
        err = capsys.readouterr().err
        assert "skipped 2 .cr2, 1 .nef, 1 hidden, 1 without extension" in err
    made = sorted(str(path.relative_to(photos / "out")) for path in (photos / "out").rglob("*.png"))
    assert made == ["anna/01.png", "ben/01.jpg.png", "ben/01.png.png", "old.png"]


def test_several_folders_keep_their_names(model, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        draw(tmp_path / folder / "a.png")
    predict_here(model, tmp_path / "x", tmp_path / "y", "-o", tmp_path / "out")
    assert names(tmp_path / "out") == ["x", "y"] and names(tmp_path / "out" / "y") == ["a.png"]


def test_patterns_that_no_shell_has_opened(model, tmp_path):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name)
    predict_here(model, tmp_path / "*.png", "-o", tmp_path / "out")
    assert names(tmp_path / "out") == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "advice"), [("clip.MP4", "use jointmat video"), ("https://example.org/a.jpg", "download it first")]
)
def test_what_is_no_image_file_says_what_to_do(model, tmp_path, name, advice):
    with pytest.raises(InputError, match=advice):
        predict_here(model, name, "-o", tmp_path / "out.png")


def test_crop_edge_and_quality(model, portrait, tmp_path):
    predict_here(model, portrait, "-o", tmp_path / "a.png", "--crop", "--margin", "3")
    cropped = pixels(tmp_path / "a.png").shape
    assert cropped[2] == 4 and 24 <= cropped[0] == cropped[1] <= 30
    sums = {}
    for shift in (-2, 2):
        path = tmp_path / f"{shift}.png"
        predict_here(model, portrait, "-o", path, "--only-alpha", "--shift", shift, "--feather", 2)
        sums[shift] = pixels(path).mean()
    assert sums[-2] < sums[2]
    sizes = {}
    for quality in (10, 90):
        path = tmp_path / f"{quality}.jpg"
        predict_here(model, portrait, "-o", path, "--background", "white", "--quality", quality)
        sizes[quality] = path.stat().st_size
    assert sizes[10] < sizes[90]
    for options, cause in ((["--quality", "9"], "lossless"), (["--margin", "9"], "needs --crop")):
        with pytest.raises(InputError, match=cause):
            predict_here(model, portrait, "-o", tmp_path / "b.png", *options)


def test_quiet_and_verbose(model, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    draw(photos / "a.png")
    (photos / "b.png").touch()
    for options, words in (("-q", ["error"]), ("-v", ["error", "wrote", "wrote"])):
        with pytest.raises(SomeFailed):
            predict_here(model, photos, "-o", tmp_path / options, options)
        assert sorted(line.split(":")[0].split()[0] for line in capsys.readouterr().err.splitlines()) == words


def test_no_error_of_one_file_ends_a_folder(model, tmp_path, monkeypatch, capsys):
    for name in ("a.png", "b.png", "c.png"):
        draw(tmp_path / name)
    real = Predictor.matte

    def matte(self, image, **settings):
        if image.endswith("b.png"):
            raise RuntimeError("two\nlines")
        return real(self, image, **settings)

    monkeypatch.setattr(Predictor, "matte", matte)
    with pytest.raises(SomeFailed, match=r"1 of 3 images failed: .*b\.png"):
        predict_here(model, *sorted(tmp_path.iterdir()), "-o", tmp_path / "out", "--jobs", "2")
    assert names(tmp_path / "out") == ["a.png", "c.png"]
    assert "b.png: RuntimeError: two lines" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "closed"), [(["-", "-o", "x.png"], "<&-"), (["{}", "-o", "-"], ">&-")])
def test_closed_standard_streams_are_one_line(model, portrait, tmp_path, arguments, closed):
    words = [*COMMAND, "predict", *(a.format(portrait) for a in arguments), "--model", str(model)]
    line = f"{shlex.join(words)} {closed}"
    result = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, check=False, timeout=60)
    failed(result, 2, "closed")


def test_what_is_closed_and_not_needed_changes_nothing(model, portrait, tmp_path):
    target = tmp_path / "out.png"
    line = shlex.join(
        [*COMMAND, "predict", str(portrait), "-o", str(target), "--model", str(model), "--only-alpha"]
    )
    subprocess.run(f"{line} <&- >&- 2>&-", shell=True, cwd=ROOT, check=True, timeout=60)
    assert pixels(target).shape == pixels(portrait).shape[:2]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("option", ["--model=nothing.onnx", "--mode"])
@pytest.mark.parametrize("stream", ["/dev/full", "&-"])
def test_an_error_that_nobody_can_be_told_keeps_its_code(stream, option, unbuffered):
    words = shlex.join([*COMMAND, "predict", "nobody.jpg", option])
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    result = subprocess.run(f"{words} 2>{stream}", shell=True, cwd=ROOT, env=environment, check=False, timeout=60)
    assert result.returncode == 2


def test_one_job_or_many_write_the_same(model, tmp_path, rng):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(6):
        Image.fromarray(rng.integers(0, 256, (40 + index, 50, 3), np.uint8)).save(photos / f"{index}.png")
    for jobs in (1, 3):
        predict_here(model, photos, "-o", tmp_path / str(jobs), "--jobs", jobs)
    for index in range(6):
        np.testing.assert_array_equal(*(pixels(tmp_path / str(jobs) / f"{index}.png") for jobs in (1, 3)))


def test_density_is_kept(model, tmp_path):
    Image.new("RGB", (40, 48), "white").save(tmp_path / "scan.jpg", dpi=(300, 300))
    for options in (["out.png"], ["out.tif"], ["out.jpg", "--background", "white", "--crop"]):
        predict_here(model, tmp_path / "scan.jpg", "-o", tmp_path / options[0], *options[1:])
        assert Image.open(tmp_path / options[0]).info["dpi"] == pytest.approx((300, 300), abs=0.1)
