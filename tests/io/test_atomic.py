"""A file is written whole or not at all."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jointmat.errors import InputError, JointmatError
from jointmat.io.atomic import atomic_write, printable


@pytest.fixture
def unprivileged():
    """Yield a readable folder and run the test as nobody, for root may read and write everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_file(tmp_path):
    with atomic_write(tmp_path / "out.bin") as file:
        file.write(b"whole")
        assert "out.bin" not in names(tmp_path)
    assert names(tmp_path) == ["out.bin"]
    assert (tmp_path / "out.bin").read_bytes() == b"whole"


def test_replaces_a_file(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with atomic_write(str(path)) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_no_other(tmp_path, exception):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(exception), atomic_write(path) as file:
        file.write(b"half")
        raise exception
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.bin"]


def test_an_error_of_the_block_is_passed_on_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out.bin") as file:
        file.write((tmp_path / "missing").read_bytes())
    assert names(tmp_path) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "out.bin") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "out.bin").stat().st_mode & 0o777 == mode


def test_the_bytes_are_synced_before_the_rename(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(os.fstat(descriptor).st_size))
    with atomic_write(tmp_path / "out.bin") as file:
        file.write(b"12345")
    assert seen == [5]


def test_missing_folder(tmp_path):
    path = tmp_path / "missing" / "out.bin"
    with pytest.raises(InputError) as error, atomic_write(path):
        pass
    assert str(error.value) == f"{path}: cannot be written: no such folder"


def test_a_file_as_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be written: Not a directory"),
        atomic_write(tmp_path / "file" / "out.bin"),
    ):
        pass


def test_folder_not_writable(unprivileged):
    path = unprivileged / "out.bin"
    unprivileged_is_writable = os.access(unprivileged, os.W_OK, effective_ids=True)
    if unprivileged_is_writable:
        unprivileged.chmod(0o555)
    with pytest.raises(InputError) as error, atomic_write(path):
        pass
    assert str(error.value) == f"{path}: cannot be written: Permission denied"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a device"])
def test_only_a_regular_file_is_replaced(tmp_path, kind):
    path = tmp_path / "out"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link to a device": lambda: path.symlink_to("/dev/null"),
    }[kind]()
    with (
        pytest.raises(InputError, match="out: cannot be written: it exists and is not a regular file"),
        atomic_write(path),
    ):
        pass
    assert names(tmp_path) == ["out"]


def test_a_full_disk(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(JointmatError) as error, atomic_write(path) as file:
        file.write(b"new")
    assert str(error.value) == f"{path}: cannot be written: No space left on device"
    assert isinstance(error.value.__cause__, OSError)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.bin"]


def test_a_write_that_the_system_cuts_short(tmp_path):
    code = (
        "import resource, sys; from jointmat.io.atomic import atomic_write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with atomic_write(sys.argv[1]) as file: file.write(bytes(100_000))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out.bin")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].endswith("out.bin: cannot be written: File too large")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["ünï ✓ 漢字.bin", "two words.bin", "two\nlines.bin", "n" * 255])
def test_unusual_names(tmp_path, name):
    with atomic_write(tmp_path / name) as file:
        file.write(b"x")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("n" * 256, "File name too long"),
        ("a\0b", "embedded null byte"),
        ("a\0b/out.bin", "embedded null byte"),
        ("\ud800", "surrogates not allowed"),
    ],
)
def test_an_impossible_name_is_refused_before_the_work(tmp_path, name, cause):
    with pytest.raises(InputError) as error, atomic_write(tmp_path / name):
        raise AssertionError("the block was entered")
    assert str(error.value).startswith(f"{printable(tmp_path / name)}: cannot be written: ")
    assert cause in str(error.value)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "text"), [("a b.png", "a b.png"), ("a\nb.png", r"'a\nb.png'"), ("", "''"), ("\udcff", r"'\udcff'")]
)
def test_printable_is_one_line(path, text):
    assert printable(path) == text
