"""`jointmat video` with several videos, folders, images and pipes."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

av = pytest.importorskip("av")
pytest.importorskip("onnx")

from jointmat.cli.errors import SomeFailed
from jointmat.errors import InputError
from jointmat.io.write import save_image
from tests.video.clips import image_at, read, write

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """The command in a folder with two videos, their folder, and a folder of images."""
    monkeypatch.chdir(tmp_path)
    Path("talks").mkdir()
    write("talks/a.mp4", range(0, 2048, 512))
    write("talks/b.mov", range(0, 2048, 512))
    Path("frames").mkdir()
    for index in range(4):
        save_image(f"frames/{index:03}.png", image_at(index))

    def command(*arguments):
        from jointmat.cli.main import cli

        cli.main(["video", *arguments, "--model", str(model)], standalone_mode=False)

    return command


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


BLUR = ("--background", "blur")
COMMAND = [sys.executable, "-m", "jointmat", "video"]


@pytest.mark.parametrize(("source", "target", "closed"), [("-", "x.mp4", "<&-"), ("talks/a.mp4", "-", ">&-")])
def test_closed_standard_streams_are_one_line(run, model, monkeypatch, source, target, closed):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    line = shlex.join([*COMMAND, source, "-o", target, "--only-alpha", "--model", str(model)])
    result = subprocess.run(
        f"{line} {closed}", shell=True, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: std") and result.stderr.count("\n") == 1


def test_what_is_closed_and_not_needed_changes_nothing(run, model, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    line = shlex.join([*COMMAND, "talks/a.mp4", "-o", "x.mp4", "--only-alpha", "--model", str(model)])
    subprocess.run(f"{line} <&- >&- 2>&-", shell=True, check=True, timeout=60)
    assert len(read("x.mp4")[0]) == 4


@pytest.mark.parametrize(
    "sources", [["talks"], ["talks/a.mp4", "talks/b.mov"], ["talks/a.mp4", "talks/b.mov", "frames"]]
)
def test_several_videos_go_to_a_folder(run, sources, capsys):
    run(*sources, "-o", "out", *BLUR)
    expected = ["a.mp4", "b.mp4"] + (["frames.mp4"] if len(sources) == 3 else [])
    assert names("out") == expected and all(len(read(f"out/{name}")[0]) == 4 for name in expected)
    assert "out/a.mp4: 4 frames in" in capsys.readouterr().err


def test_the_format_of_several(run):
    run("talks", "-o", "out", "--alpha")
    assert names("out") == ["a.webm", "b.webm"]
    run("talks", "-o", "moved", "--format", "mov", *BLUR)
    assert names("moved") == ["a.mov", "b.mov"]


@pytest.mark.parametrize("source", ["frames", "frames/%03d.png"])
def test_images_are_one_video(run, source):
    run(source, "-o", "out.mp4", "--rate", "10", *BLUR)
    assert read("out.mp4")[1] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_one_that_fails_does_not_stop_the_others(run, capsys):
    Path("talks/aa.mp4").write_bytes(b"no video")
    with pytest.raises(SomeFailed, match=r"1 of 3 videos failed: talks/aa.mp4"):
        run("talks", "-o", "out", *BLUR)
    assert names("out") == ["a.mp4", "b.mp4"] and "aa.mp4: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["talks", "-o", "out.mp4"], "name of one file"),
        (["talks", "-o", "-"], "goes with one video, got 2"),
        (["talks", "-o", "talks", "--format", "mp4"], "is an input"),
        (["frames", "-o", "out.mp4", "--rate", "x"], "expected frames per second"),
        (["talks/a.mp4", "-o", "out.mp4", "--rate", "5"], "rate is for images"),
    ],
)
def test_what_is_refused(run, arguments, cause):
    before = names()
    with pytest.raises(InputError, match=cause):
        run(*arguments, *BLUR)
    assert names() == before and names("talks") == ["a.mp4", "b.mov"]


def test_what_exists_is_not_replaced_unasked(run):
    Path("out.mp4").write_bytes(b"older")
    with pytest.raises(InputError, match=r"out.mp4: exists; add --overwrite"):
        run("talks/a.mp4", "-o", "out.mp4", *BLUR)
    assert Path("out.mp4").read_bytes() == b"older"
    run("talks/a.mp4", "-o", "out.mp4", "--overwrite", *BLUR)
    assert len(read("out.mp4")[0]) == 4


def test_a_format_without_alpha_is_refused_before_the_work(run):
    with pytest.raises(InputError, match="has no alpha"):
        run("talks", "-o", "out", "--alpha", "--format", "mp4")


@pytest.mark.parametrize(
    ("source", "extension", "format_name"),
    [("in.mkv", None, "matroska"), ("in.nut", "nut", "nut"), ("in.mkv", "webm", "matroska")],
)
def test_pipes(model, tmp_path, source, extension, format_name):
    write(tmp_path / source, sound="aac")
    chosen = ["--format", extension] if extension else []
    command = [sys.executable, "-m", "jointmat", "video", "-", "-o", "-", *BLUR, "--model", model, *chosen]
    with (
        subprocess.Popen(["cat", tmp_path / source], stdout=subprocess.PIPE) as giver,
        (tmp_path / "out").open("wb") as target,
    ):
        taker = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=target)
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, stdin=giver.stdout, stdout=taker.stdin, stderr=subprocess.PIPE,
            timeout=120, check=False,
        )  # fmt: skip
        taker.stdin.close()
        taker.wait(60)
    assert done.returncode == 0, done.stderr
    images, times = read(tmp_path / "out")
    assert len(images) == 10 and times == pytest.approx(read(tmp_path / source)[1], abs=1e-3)
    with av.open(str(tmp_path / "out")) as container:
        assert format_name in container.format.name and [s.type for s in container.streams] == ["video", "audio"]


def test_what_cannot_be_piped_is_one_line(model, tmp_path):
    command = [sys.executable, "-m", "jointmat", "video", "-", "-o", "-", *BLUR, "--model", str(model)]
    done = subprocess.run(command, cwd=ROOT, input=b"no video", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: stdin: cannot be read as a video") and done.stderr.count(b"\n") == 1
