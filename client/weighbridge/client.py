"""Connecting to a server, and the calls that a person makes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.manifest import FileSummary
from weighbridge.core.refs import parse_ref
from weighbridge.core.values import Dataset, Model, Parent, Record, Resolved, Scalar, Version
from weighbridge.progress import Progress, Silent
from weighbridge.pull import Pulled, pull_version
from weighbridge.v1 import models_pb2, transfer_pb2, versions_pb2
from weighbridge.verify import Verified, verify_folder
from weighbridge.version import Pushed, VersionInProgress
from weighbridge.wire import convert
from weighbridge.wire.connection import RETRY_LIMIT_S, Connection

DEFAULT_SERVER = "127.0.0.1:8420"
_PAGE_SIZE = 500

PathLike = str | os.PathLike[str]
Parents = str | Sequence[str | Parent] | None


def connect(server: str | None = None, *, token: str | None = None, retry_limit_s: float = RETRY_LIMIT_S) -> Client:
    """A client of the server at ``HOST:PORT``. Nothing is sent before the first call.

    Args:
        server: by default ``WEIGHBRIDGE_SERVER``, or ``127.0.0.1:8420``.
        token: by default ``WEIGHBRIDGE_TOKEN``, or none.
        retry_limit_s: how long work that stands still, because a server that was there cannot be reached, is
            tried again before its error is raised. What moves again has the whole time anew.

    Raises:
        UsageError: ``server`` is not of the form ``HOST:PORT``.
    """
    address = server or os.environ.get("WEIGHBRIDGE_SERVER") or DEFAULT_SERVER
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdecimal():
        raise UsageError(f"{address!r} is not HOST:PORT, such as {DEFAULT_SERVER} (see --server, WEIGHBRIDGE_SERVER)")
    token = token or os.environ.get("WEIGHBRIDGE_TOKEN")
    return Client(Connection(address, token, retry_limit_s=retry_limit_s))


class Client:
    """A client of one server. A context manager; safe to use from several threads.

    Every method raises the ``WeighbridgeError`` that says what was wrong: ``Unavailable`` when no server
    answers, otherwise those that it names.
    """

    def __init__(self, connection: Connection) -> None:
        """Use ``connect``."""
        self._connection = connection

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    @property
    def server(self) -> str:
        """``HOST:PORT``."""
        return self._connection.address

    # -- models and versions -------------------------------------------------------------------

    def create_model(self, name: str, *, owner: str = "", description: str = "") -> Model:
        """Registers a model. A push does this by itself.

        Raises:
            InvalidName, InvalidRequest, ModelExists.
        """
        request = models_pb2.CreateModelRequest(
            request_id=uuid.uuid4().hex, name=name, owner=owner, description=description
        )
        return convert.model_value(self._connection.call(self._connection.models.CreateModel, request))

    def model(self, name: str) -> Model:
        """One model. Raises: InvalidName, ModelNotFound."""
        request = models_pb2.GetModelRequest(name=name)
        return convert.model_value(self._connection.call(self._connection.models.GetModel, request))

    def models(self) -> Iterator[Model]:
        """All models in order of name."""
        token = ""
        while True:
            request = models_pb2.ListModelsRequest(page_size=_PAGE_SIZE, page_token=token)
            page = self._connection.call(self._connection.models.ListModels, request)
            yield from map(convert.model_value, page.models)
            token = page.next_page_token
            if not token:
                return

    def versions(self, model: str) -> Iterator[Version]:
        """The committed versions of a model, newest first, without their records.

        Raises:
            InvalidName, ModelNotFound.
        """
        token = ""
        while True:
            request = versions_pb2.ListVersionsRequest(model=model, page_size=_PAGE_SIZE, page_token=token)
            page = self._connection.call(self._connection.versions.ListVersions, request)
            yield from map(convert.version_value, page.versions)
            token = page.next_page_token
            if not token:
                return

    def version(self, ref: str) -> Version:
        """One version with its whole record.

        Raises:
            InvalidName, InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound.
        """
        request = versions_pb2.GetVersionRequest(ref=ref)
        return convert.version_value(self._connection.call(self._connection.versions.GetVersion, request))

    def resolve(self, ref: str) -> Resolved:
        """Which version a reference stands for now. Raises as ``version``."""
        request = versions_pb2.ResolveVersionRequest(ref=ref)
        return convert.resolved_value(self._connection.call(self._connection.versions.ResolveVersion, request))

    def files(self, ref: str) -> Iterator[FileSummary]:
        """The files of a version in order of their paths. Raises as ``version``."""
        request = transfer_pb2.GetManifestRequest(ref=ref, files_only=True)
        for response in self._connection.stream(self._connection.transfer.GetManifest, request):
            if response.WhichOneof("message") == "file":
                yield convert.file_summary(response.file)

    # -- in ------------------------------------------------------------------------------------

    def begin(
        self,
        model: str,
        *,
        parent: Parents = None,
        params: Mapping[str, Scalar] | None = None,
        tags: Mapping[str, Scalar] | None = None,
        datasets: Sequence[Dataset] = (),
        description: str = "",
        progress: Progress | None = None,
    ) -> VersionInProgress:
        """Begins a version; use the result in a ``with`` block, which commits it.

        The record is checked here, before a byte is sent. A missing model is created. ``parent`` is any
        reference, or several; each is pinned to the version that it stands for now.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded, VersionNotFound, AliasNotFound.
        """
        record = Record(
            description=description,
            params=dict(params or {}),
            tags=dict(tags or {}),
            datasets=tuple(datasets),
            parents=tuple(self._pinned(item) for item in _parents(parent)),
        )
        return VersionInProgress(self._connection, model, record, progress or Silent())

    def push(
        self,
        model: str,
        *paths: PathLike,
        metrics: Mapping[str, float] | None = None,
        **record: Any,
    ) -> Pushed:
        """Pushes files and folders as a new version, and returns it. Takes what ``begin`` takes.

        Raises:
            SourceUnreadable, SourceChanged, InvalidPath and what ``begin`` raises.
        """
        with self.begin(model, **record) as version:
            version.add(*paths)
            for name, value in (metrics or {}).items():
                version.log_metric(name, value)
        assert version.result is not None, "a block that ends without an exception has committed"
        return version.result

    def _pinned(self, parent: Parent) -> Parent:
        if parse_ref(parent.ref).version is not None:
            return parent
        return Parent(self.resolve(parent.ref).ref, parent.relation)

    # -- out -----------------------------------------------------------------------------------

    def pull(self, ref: str, dest: PathLike | None = None, *, progress: Progress | None = None) -> Path:
        """Pulls a version into a folder, made if absent (default: the model's name); returns the folder.

        Every byte is verified before any file appears. Raises as ``pull_with_counts``.
        """
        return self.pull_with_counts(ref, dest, progress=progress).path

    def pull_with_counts(self, ref: str, dest: PathLike | None = None, *, progress: Progress | None = None) -> Pulled:
        """As ``pull``; returns what it took too.

        Raises:
            DataLoss: bytes are not what was pushed; names the file and the chunk; no file appears.
            DestinationUnwritable: the folder cannot be written.
            InvalidName, InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound.
        """
        folder = Path(dest) if dest is not None else Path(parse_ref(ref).model)
        return pull_version(self._connection, ref, folder, progress or Silent())

    def verify(self, folder: PathLike) -> Verified:
        """Whether a folder still holds what was pulled into it; ``problems`` lists what does not.

        Raises:
            UsageError, VersionNotFound, SourceUnreadable.
        """
        return verify_folder(self._connection, Path(folder))


def _parents(given: Parents) -> list[Parent]:
    items = [given] if isinstance(given, str) else list(given or ())
    return [item if isinstance(item, Parent) else Parent(item) for item in items]
