"""Folders of this machine and of object stores, by pyarrow's file systems."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from jointmat.errors import InputError
from jointmat.io.atomic import atomic_write


class Store:
    """A folder.

    Parameters
    ----------
    address : a path, or what `pyarrow.fs.FileSystem.from_uri` takes, such as s3://bucket/folder
    """

    def __init__(self, address: str):
        try:
            if "://" in address:
                self._system, self._root = FileSystem.from_uri(address)
            else:
                self._system, self._root = LocalFileSystem(), str(Path(address).absolute())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"{address}: not a folder, s3:// or gs:// ({error})") from error
        self.address = self._root if self.is_local else address  # wherever a process of the job is started

    @property
    def is_local(self) -> bool:
        """Whether this is a path, which other machines may not have."""
        return isinstance(self._system, LocalFileSystem)

    def files(self, below: str = "") -> list[str]:
        """Names of all files, sorted, without hidden ones; none of a folder that does not exist.

        below : only of this folder in it
        """
        selector = FileSelector(self._path(below), allow_not_found=True, recursive=True)
        found = (item.path for item in self._system.get_file_info(selector) if item.type == FileType.File)
        names = (path[len(self._root) :].lstrip("/") for path in found)
        return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))

    def has(self, name: str) -> bool:
        return self._system.get_file_info(self._path(name)).type == FileType.File

    def open(self, name: str) -> pa.NativeFile:
        """A file to read and seek in."""
        return self._system.open_input_file(self._path(name))

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    @contextmanager
    def written(self, name: str) -> Iterator[BinaryIO]:
        """A file to write, which appears when it is whole; its folder is made."""
        if self.is_local:
            path = Path(self._path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                yield file
            return
        # Closing an upload makes the object, also on the way out of an error: so it begins when all is there.
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            with self._system.open_output_stream(self._path(name)) as stream:
                stream.upload(file)

    def write(self, name: str, data: bytes) -> None:
        with self.written(name) as file:
            file.write(data)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")
