"""The files of `jointmat demo` are what the other commands take."""

import builtins

import pytest

from jointmat.assets import PORTRAIT
from jointmat.cli.samples import write_samples
from jointmat.io.image import load_image


def test_images_and_a_clip_are_written(tmp_path):
    pytest.importorskip("av")
    from jointmat.io.video import VideoReader

    portrait = load_image(PORTRAIT)
    names = write_samples(tmp_path, portrait)
    assert set(names) == {x.name for x in tmp_path.iterdir()} == {"portrait.jpg", "background.jpg", "clip.mp4"}
    assert load_image(tmp_path / "portrait.jpg").shape == portrait.shape
    with VideoReader(tmp_path / "clip.mp4") as reader:
        frames = [frame.image for frame in reader.frames()]
    assert len(frames) == 48 and frames[0].shape == portrait.shape
    assert (frames[0] != frames[12]).any()


def test_without_pyav_there_is_no_clip(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_av(name, *rest, **more):
        if name == "av":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_av)
    assert write_samples(tmp_path, load_image(PORTRAIT)) == ["portrait.jpg", "background.jpg"]
    assert not (tmp_path / "clip.mp4").exists()
