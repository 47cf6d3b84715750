"""Versions as a file system of fsspec's, read-only: ``weighbridge://REF/PATH``.

pandas, pyarrow, dask and whatever else opens URLs through fsspec find it by its entry point::

    pandas.read_parquet("weighbridge://fraud.tabular.transformer:7/eval/scores.parquet")

``REF`` is any reference: ``name``, ``name:7``, ``name@alias``, ``name#b3:<hex>``. The server is not part of the URL,
where ``host:port`` and ``name:7`` would look alike: it is ``WEIGHBRIDGE_SERVER``, or a storage option.

    pandas.read_csv(url, storage_options={"server": "registry:8420", "token": "..."})

A reference that can move is resolved anew by every call, and a file that is open stays what it was opened as. To read
several files of one version, resolve it first: ``f"weighbridge://{client.resolve(ref).ref}/table"``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.spec import AbstractFileSystem
from fsspec.utils import isfilelike

from weighbridge.cache import ChunkCache
from weighbridge.client import Client, connection_to
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import Code, WeighbridgeError
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest
from weighbridge.core.refs import parse_ref
from weighbridge.fetch import Manifest, fetch_manifest
from weighbridge.filling import Sink
from weighbridge.local_state import cache_dir, cache_limit_bytes
from weighbridge.open_file import FileReader, chunks_of, find_file
from weighbridge.places import Places
from weighbridge.read_ahead import Chunks
from weighbridge.whole_file import whole_file

Entry = dict[str, Any]
"""What fsspec knows of a file or a folder."""

_ERRNO = {
    Code.NOT_FOUND: errno.ENOENT,
    Code.PERMISSION_DENIED: errno.EACCES,
    Code.UNAUTHENTICATED: errno.EACCES,
    Code.INVALID_ARGUMENT: errno.EINVAL,
    Code.UNAVAILABLE: errno.ECONNREFUSED,
    Code.DEADLINE_EXCEEDED: errno.ETIMEDOUT,
}
"""From which Python tells the class: FileNotFoundError, PermissionError, ConnectionError, TimeoutError."""

_VERSIONS_KEPT = 4
"""Manifests in memory: some 240 bytes a chunk, 120 KB for each GB of a version."""


@dataclass(frozen=True)
class _Version:
    """A version, which never changes, and its folders."""

    manifest: Manifest
    folders: Mapping[str, Mapping[str, FileManifest | None]]
    """Of every folder what is in it, by name; None stands for a folder."""


class WeighbridgeFileSystem(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """See the module. Errors are ``OSError`` of the kind that Python has for them, caused by the ``WeighbridgeError``.

    Files come from the cache of chunks or from the server, verified, and read ahead by themselves: what fsspec offers
    for that (``block_size``, ``cache_type``) is taken and changes nothing.
    """

    protocol = "weighbridge"

    def __init__(self, server: str | None = None, token: str | None = None, **storage_options: Any) -> None:
        """As ``weighbridge.connect``. fsspec keeps an instance for each thread and set of options, with its connection.

        Raises:
            UsageError: ``server`` is not of the form ``HOST:PORT``, or the token cannot be sent.
        """
        super().__init__(server=server, token=token, **storage_options)
        self._connection = connection_to(server, token=token)
        self._client = Client(self._connection)
        self._version = lru_cache(_VERSIONS_KEPT)(self._fetch)

    # -- looking -------------------------------------------------------------------------------

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Entry] | list[str]:
        """What is in a folder: the files of a version, or of nothing the models. A file is in itself.

        Raises:
            FileNotFoundError, PermissionError, OSError.
        """
        path = self._strip_protocol(path)
        with _as_os_errors(path):
            entries = self._entries(path)
        return entries if detail else [entry["name"] for entry in entries]

    def info(self, path: str, **_: Any) -> Entry:
        """``name``, ``size`` in bytes, ``type``; of a file ``root``, which names its content. Raises as ``ls``."""
        path = self._strip_protocol(path)
        with _as_os_errors(path):
            return self._info(path)

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such a file or folder. Raises OSError where that cannot be known."""
        return self._type(path) is not None

    def isfile(self, path: str) -> bool:
        """Whether it is a file. Raises as ``exists``."""
        return self._type(path) == "file"

    def isdir(self, path: str) -> bool:
        """Whether it is a folder, such as a version. Raises as ``exists``."""
        return self._type(path) == "directory"

    def walk(
        self, path: str, maxdepth: int | None = None, topdown: bool = True, on_error: Any = "omit", **kwargs: Any
    ) -> Iterator[Any]:
        """As of any file system, but only what is not there is left out: no answer does not mean no files."""
        on_error = _raise_the_others if on_error == "omit" else on_error
        yield from super().walk(path, maxdepth=maxdepth, topdown=topdown, on_error=on_error, **kwargs)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forgets what is known of versions, so that one that was deleted is seen to be so."""
        self._version.cache_clear()
        super().invalidate_cache(path)

    # -- reading -------------------------------------------------------------------------------

    def _open(self, path: str, mode: str = "rb", **_: Any) -> FileReader:
        """See ``AbstractFileSystem.open``; the result is what ``Client.open`` gives, with errors as here."""
        if mode != "rb":
            self._refuse(path)
        with _as_os_errors(path):
            ref, file, chunks = self._chunks(path)
        return FileReader(ref, file, _WithOSErrors(chunks, path))

    def get_file(self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **_: Any) -> None:
        """Copies a file to this machine, where it appears whole, verified and synced, or not at all.

        ``outfile``, or an ``lpath`` that is an open file, is written to as the bytes come.
        """
        path, into = self._strip_protocol(rpath), lpath if outfile is None else outfile
        if not isfilelike(into) and self.isdir(path):
            Path(into).mkdir(parents=True, exist_ok=True)
            return
        with _as_os_errors(path), FileReader(*self._chunks(path)) as file:
            if isfilelike(into):
                _copy(file, into, callback)
                return
            Path(into).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(Path(into)) as made:
                _copy(file, made.buffer, callback)

    # -- nothing is written --------------------------------------------------------------------

    def _refuse(self, path: Any = "", *_: Any, **__: Any) -> NoReturn:
        """Raises OSError: versions never change."""
        what = "a version never changes: push a new one, weighbridge.Client.push"
        raise OSError(errno.EROFS, what, self._strip_protocol(path))

    mkdir = makedirs = rmdir = cp_file = rm_file = rm = _rm = mv = pipe_file = touch = _refuse

    def put_file(self, lpath: Any, rpath: Any, *_: Any, **__: Any) -> NoReturn:
        """See ``_refuse``."""
        self._refuse(rpath)

    # -- what is there -------------------------------------------------------------------------

    def _pinned(self, ref: str) -> str:
        """``name:7`` for what a reference stands for now."""
        return ref if parse_ref(ref).version is not None else self._client.resolve(ref).ref

    def _fetch(self, ref: str) -> _Version:
        manifest = self._connection.patience().run(lambda: fetch_manifest(self._connection, ref))
        return _Version(manifest, _folders(manifest.files))

    def _at(self, path: str) -> tuple[_Version, str]:
        """The version that a path leads into, and the path in it."""
        ref, _, inner = path.partition("/")
        return self._version(self._pinned(ref)), inner

    def _entries(self, path: str) -> list[Entry]:
        if not path:
            return [_folder(model.name) for model in self._client.models()]
        version, inner = self._at(path)
        if inner in version.folders:
            return [_entry(f"{path}/{name}", file) for name, file in version.folders[inner].items()]
        return [_entry(path, find_file(version.manifest, inner))]

    def _info(self, path: str) -> Entry:
        if not path:
            return _folder("")
        version, inner = self._at(path)
        return _folder(path) if inner in version.folders else _entry(path, find_file(version.manifest, inner))

    def _chunks(self, path: str) -> tuple[str, FileManifest, Chunks]:
        """A version, a file of it and where its chunks come from: what an open file is made of."""
        version, inner = self._at(path)
        if inner in version.folders:
            raise IsADirectoryError(errno.EISDIR, "it is a folder", path)
        file = find_file(version.manifest, inner)
        cache = ChunkCache(cache_dir() / "chunks", cache_limit_bytes())
        return version.manifest.ref, file, chunks_of(self._connection, version.manifest, file, cache)

    def _type(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None


class _WithOSErrors:
    """Chunks whose errors are those of the file system."""

    def __init__(self, chunks: Chunks, path: str) -> None:
        self._chunks = chunks
        self._path = path

    def bring(self, places: Places, sink: Sink, *, patient: bool = True) -> None:
        """See ``Chunks``."""
        with _as_os_errors(self._path):
            self._chunks.bring(places, sink, patient=patient)


@contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Raises the OSError that stands for a WeighbridgeError, with its message."""
    try:
        yield
    except WeighbridgeError as fault:
        cause = fault.__cause__
        number = cause.errno if isinstance(cause, OSError) else _ERRNO.get(fault.code)
        raise OSError(number or errno.EIO, fault.message, path) from fault


def _copy(file: FileReader, into: Any, callback: Any) -> None:
    callback.set_size(file.size)
    while piece := file.read(CHUNK_BYTES):
        into.write(piece)
        callback.relative_update(len(piece))


def _raise_the_others(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _folder(name: str) -> Entry:
    return {"name": name, "size": 0, "type": "directory"}


def _entry(name: str, file: FileManifest | None) -> Entry:
    if file is None:
        return _folder(name)
    return {"name": name, "size": file.size_bytes, "type": "file", "root": format_digest(file.root)}


def _folders(files: Sequence[FileManifest]) -> Mapping[str, Mapping[str, FileManifest | None]]:
    """Every folder that the files' paths imply, the version's own, ``""``, among them."""
    folders: dict[str, dict[str, FileManifest | None]] = {"": {}}
    for file in files:
        path: str = file.path
        below: FileManifest | None = file
        known = False
        while not known:
            path, _, name = path.rpartition("/")
            known = path in folders
            folders.setdefault(path, {})[name] = below
            below = None
    return folders
