"""Connecting to a server, and the calls that a person makes."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack, overload

from weighbridge.cache import ChunkCache
from weighbridge.core.checkpoint import Checkpoint
from weighbridge.core.errors import InternalError, UsageError
from weighbridge.core.limits import FILES_PER_VERSION, check_limit
from weighbridge.core.manifest import FileSummary
from weighbridge.core.model_check import check_model_deletion, check_model_update, check_new_model
from weighbridge.core.refs import check_model_name, parse_ref
from weighbridge.core.values import Dataset, Event, Model, Parent, Record, Resolved, Scalar, Version
from weighbridge.journal import JournalProgress, events_wanted, load_checkpoint, prove, server_head
from weighbridge.load import load_tensors
from weighbridge.local_state import cache_dir, cache_limit_bytes
from weighbridge.progress import Progress, Silent
from weighbridge.pull import Pulled, pull_version
from weighbridge.selection import Selection
from weighbridge.source import scan
from weighbridge.tensors.choice import Choice, Rows, Tensors
from weighbridge.tensors.frameworks import framework_of
from weighbridge.v1 import journal_pb2, models_pb2, transfer_pb2, versions_pb2
from weighbridge.verify import Verified, verify_folder
from weighbridge.version import Pushed, VersionInProgress
from weighbridge.wire import convert
from weighbridge.wire.connection import RETRY_LIMIT_S, Connection

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_SERVER = "127.0.0.1:8420"
_HOST = re.compile(r"[!-.0-~]+")
"""Printable ASCII without blanks and slashes: a name or an address, which one is for the resolver to say."""
_LARGEST_PORT = 65_535
_PAGE_SIZE = 500

PathLike = str | os.PathLike[str]
Item = TypeVar("Item")
Parents = str | Sequence[str | Parent] | None


class RecordOptions(TypedDict, total=False):
    """The keywords of ``Client.begin``, for ``Client.push``."""

    parent: Parents
    params: Mapping[str, Scalar] | None
    tags: Mapping[str, Scalar] | None
    datasets: Sequence[Dataset]
    description: str
    progress: Progress | None
    capture: bool


class PullOptions(TypedDict, total=False):
    """The keywords of ``Client.pull_with_counts``, for ``Client.pull``."""

    include: Sequence[str]
    exclude: Sequence[str]
    progress: Progress | None


class LoadOptions(TypedDict, total=False):
    """The keywords of ``Client.load``, but for the framework."""

    tensors: Tensors
    rows: Rows
    device: Any
    include: Sequence[str]
    exclude: Sequence[str]
    progress: Progress | None


def connect(server: str | None = None, *, token: str | None = None, retry_limit_s: float = RETRY_LIMIT_S) -> Client:
    """A client of the server at ``HOST:PORT``. Nothing is sent before the first call.

    Args:
        server: by default ``WEIGHBRIDGE_SERVER``, or ``127.0.0.1:8420``.
        token: by default ``WEIGHBRIDGE_TOKEN``, or none.
        retry_limit_s: how long work that stands still, because a server that was there cannot be reached, is
            tried again before its error is raised. What moves again has the whole time anew.

    Raises:
        UsageError: ``server`` is not of the form ``HOST:PORT``, or the token cannot be sent.
    """
    address = server or os.environ.get("WEIGHBRIDGE_SERVER") or DEFAULT_SERVER
    host, colon, port = address.rpartition(":")
    if not (colon and _HOST.fullmatch(host) and port.isascii() and port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise UsageError(f"{address!r} is not HOST:PORT, such as {DEFAULT_SERVER} (see --server, WEIGHBRIDGE_SERVER)")
    token = token or os.environ.get("WEIGHBRIDGE_TOKEN")
    if token and not (token.isascii() and token.isprintable()):  # gRPC would refuse every call, and not say why
        raise UsageError(
            "the token is not printable ASCII; it may have a line break at its end (see --token, WEIGHBRIDGE_TOKEN)"
        )
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

    def create_model(
        self,
        name: str,
        *,
        owner: str = "",
        team: str = "",
        contact: str = "",
        description: str = "",
        card: str = "",
    ) -> Model:
        """Registers a model. A push does this by itself.

        Args:
            name: ``project.task.architecture``.
            owner: the person or service that answers for it, by default the caller; at most 256 characters.
            team: the group that the owner works in; as long.
            contact: where to ask about it; as long.
            description: what it is for, in a sentence; at most 4 KiB.
            card: its card, in Markdown; at most 64 KiB.

        Raises:
            InvalidName, InvalidRequest, ModelExists (of a deleted model too, and says how to restore it).
        """
        texts = {"owner": owner, "team": team, "contact": contact, "description": description, "card": card}
        check_new_model(name, texts)
        request = models_pb2.CreateModelRequest(request_id=uuid.uuid4().hex, name=name, **texts)
        return convert.model_value(self._connection.call(self._connection.models.CreateModel, request))

    def model(self, name: str) -> Model:
        """One model, with its card. Raises: InvalidName, ModelNotFound, ModelDeleted."""
        request = models_pb2.GetModelRequest(name=check_model_name(name))
        return convert.model_value(self._connection.call(self._connection.models.GetModel, request))

    def models(self, *, deleted: bool = False) -> Iterator[Model]:
        """All models in order of name, without their cards; with ``deleted`` those that are deleted instead."""

        def page(token: str) -> tuple[Sequence[models_pb2.Model], str]:
            request = models_pb2.ListModelsRequest(page_size=_PAGE_SIZE, page_token=token, show_deleted=deleted)
            answer = self._connection.call(self._connection.models.ListModels, request)
            return answer.models, answer.next_page_token

        models = map(convert.model_value, self._pages("models", page))
        return (model for model in models if (model.deletion is not None) is deleted)

    def update_model(
        self,
        name: str,
        *,
        owner: str | None = None,
        team: str | None = None,
        contact: str | None = None,
        description: str | None = None,
        card: str | None = None,
    ) -> Model:
        """Changes what is said of a model: what is given, and nothing else. Returns the model as it is then.

        The texts are those of ``create_model``; an empty one clears what was there, but for the owner.

        Raises:
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted.
        """
        given = {"owner": owner, "team": team, "contact": contact, "description": description, "card": card}
        texts = {field: text for field, text in given.items() if text is not None}
        check_model_update(name, texts)
        request = models_pb2.UpdateModelRequest(request_id=uuid.uuid4().hex, name=name, **texts)
        return convert.model_value(self._connection.call(self._connection.models.UpdateModel, request))

    def delete_model(self, name: str, *, reason: str) -> Model:
        """Hides a model and its versions until ``restore_model``; nothing of them is removed.

        Args:
            name: the model.
            reason: why, at most 1024 characters; whoever looks for the model is told.

        Raises:
            ModelInUse: uploads of it are open; one violation each.
            InvalidName, InvalidRequest, ModelNotFound, ModelDeleted.
        """
        check_model_deletion(name, reason)
        request = models_pb2.DeleteModelRequest(request_id=uuid.uuid4().hex, name=name, reason=reason)
        return convert.model_value(self._connection.call(self._connection.models.DeleteModel, request))

    def restore_model(self, name: str) -> Model:
        """Brings a deleted model back as it was, with its versions.

        Raises:
            InvalidName, ModelNotFound, ModelExists (it is not deleted).
        """
        request = models_pb2.RestoreModelRequest(request_id=uuid.uuid4().hex, name=check_model_name(name))
        return convert.model_value(self._connection.call(self._connection.models.RestoreModel, request))

    def versions(self, model: str) -> Iterator[Version]:
        """The committed versions of a model, newest first, without their records.

        Raises:
            InvalidName, ModelNotFound, ModelDeleted.
        """
        check_model_name(model)

        def page(token: str) -> tuple[Sequence[versions_pb2.Version], str]:
            request = versions_pb2.ListVersionsRequest(model=model, page_size=_PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.versions.ListVersions, request)
            return answer.versions, answer.next_page_token

        return map(convert.version_value, self._pages("versions", page))

    def _pages(self, what: str, page: Callable[[str], tuple[Sequence[Item], str]]) -> Iterator[Item]:
        """The items of all pages; a page that leads back, or nowhere, ends them with an error."""
        seen: set[str] = set()
        token = ""
        while True:
            items, token = page(token)
            yield from items
            if not token:
                return
            if token in seen or not items:
                raise InternalError(f"{self.server} lists its {what} without end: a page leads to one given before")
            seen.add(token)

    def version(self, ref: str) -> Version:
        """One version with its whole record.

        Raises:
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        parse_ref(ref)
        request = versions_pb2.GetVersionRequest(ref=ref)
        return convert.version_value(self._connection.call(self._connection.versions.GetVersion, request))

    def resolve(self, ref: str) -> Resolved:
        """Which version a reference stands for now. Raises as ``version``."""
        parse_ref(ref)
        request = versions_pb2.ResolveVersionRequest(ref=ref)
        return convert.resolved_value(self._connection.call(self._connection.versions.ResolveVersion, request))

    def files(self, ref: str) -> Iterator[FileSummary]:
        """The files of a version in order of their paths. Raises as ``version``."""
        parse_ref(ref)
        request = transfer_pb2.GetManifestRequest(ref=ref, files_only=True)
        files_total = 0
        for response in self._connection.stream(self._connection.transfer.GetManifest, request):
            if response.WhichOneof("message") == "file":
                files_total += 1
                check_limit("files", files_total, FILES_PER_VERSION)
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
        capture: bool = True,
    ) -> VersionInProgress:
        """Begins a version; use the result in a ``with`` block, which commits it.

        The record is checked here, before a byte is sent. A missing model is created. ``parent`` is any
        reference, or several; each is pinned to the version that it stands for now.

        With ``capture``, the state of the code's git repository, the command line without secrets, the machine and
        the installed packages are recorded as they are now. They are found in the background, and what cannot be
        found, or has no room beside what is given here, is left out.

        Raises:
            ModelDeleted: the model, or that of a parent, was deleted.
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded, VersionNotFound, AliasNotFound.
        """
        check_model_name(model)
        record = Record(
            description=description,
            params=dict(params or {}),
            tags=dict(tags or {}),
            datasets=tuple(datasets),
            parents=tuple(self._pinned(item) for item in _parents(parent)),
        )
        return VersionInProgress(self._connection, model, record, progress or Silent(), capture=capture)

    def push(
        self,
        model: str,
        *paths: PathLike,
        metrics: Mapping[str, float] | None = None,
        **record: Unpack[RecordOptions],
    ) -> Pushed:
        """Pushes files and folders as a new version, and returns it. Takes what ``begin`` takes.

        Raises:
            SourceUnreadable, SourceChanged, InvalidPath and what ``begin`` raises.
        """
        sources = scan(paths)  # before anything is begun, so that a refusal changes nothing
        with self.begin(model, **record) as version:
            version.add_sources(sources)
            for name, value in (metrics or {}).items():
                version.log_metric(name, value)
        assert version.result is not None, "a block that ends without an exception has committed"
        return version.result

    def _pinned(self, parent: Parent) -> Parent:
        if parse_ref(parent.ref).version is not None:
            return parent
        return Parent(self.resolve(parent.ref).ref, parent.relation)

    # -- out -----------------------------------------------------------------------------------

    def pull(self, ref: str, dest: PathLike | None = None, **options: Unpack[PullOptions]) -> Path:
        """Pulls a version into a folder, made if absent (default: the model's name); returns the folder.

        Every byte is verified before any file appears. What is here already, in the folder or in the cache of
        chunks, is read and verified and does not come over the wire. Raises as ``pull_with_counts``.
        """
        return self.pull_with_counts(ref, dest, **options).path

    def pull_with_counts(
        self,
        ref: str,
        dest: PathLike | None = None,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Pulled:
        """As ``pull``; returns what it took too.

        Args:
            ref: any reference.
            dest: the folder.
            include: shell patterns of paths (``*`` matches ``/`` too): only files that one of them matches.
            exclude: patterns of files that are left out.
            progress: is told what is done.

        Raises:
            DataLoss: bytes are not what was pushed; names the file and the chunk; no file appears.
            DestinationUnwritable: the folder cannot be written.
            UsageError: the patterns leave no file.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        model = parse_ref(ref).model
        folder = Path(model if dest is None else dest)
        selection = Selection(_patterns("include", include), _patterns("exclude", exclude))
        cache = ChunkCache(cache_dir() / "chunks", cache_limit_bytes())
        return pull_version(self._connection, ref, folder, selection, cache, progress or Silent())

    @overload
    def load(
        self, ref: str, *, framework: Literal["numpy"] = "numpy", **options: Unpack[LoadOptions]
    ) -> dict[str, NDArray[Any]]: ...

    @overload
    def load(self, ref: str, *, framework: Literal["torch"], **options: Unpack[LoadOptions]) -> dict[str, Any]: ...

    def load(
        self,
        ref: str,
        *,
        framework: str = "numpy",
        tensors: Tensors = None,
        rows: Rows = None,
        device: Any = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Loads tensors of a version straight into memory; no file is written but the cache of chunks.

        Only the chunks that hold what is wanted are fetched, several at once, those of the cache not at all; each is
        verified before a byte of it is used. It takes the memory of the tensors, the headers of their files and some
        20 chunks of 2 MiB.

        Formats, known by a file's first bytes:

        - safetensors: every type of at least a byte.
        - GGUF: tensors of F32, F16, BF16, F64 and I8 to I64 in that type; of a quantized type as ``uint8``, the bytes
          of its blocks, which are those of ``gguf.GGUFReader``: the last dimension counts bytes. Of a type that this
          release does not know, all bytes up to the next tensor in one dimension.
        - ``.npz`` as ``numpy.savez`` writes it, and ``.npy``, whose one array is named after the file's path without
          the suffix. Compressed arrays are refused; other entries of an archive are left alone. Nothing is ever
          unpickled.

        Args:
            ref: any reference.
            framework: ``"numpy"``, or ``"torch"``, which has to be installed.
            tensors: which ones: names and shell patterns (``*`` matches ``.`` and ``/`` too), each of which must match,
                or a function that is given a name. By default all.
            rows: of tensors by name, the rows ``(begin, end)`` of the first dimension that are loaded instead of all.
                Of no rows the bytes are fetched that hold none of these, but for the ends of chunks.
            device: PyTorch's; each tensor is copied to it once all have come, and does not stay in memory here.
            include: shell patterns of paths: only files that one of them matches. By default those that are called
                ``.safetensors``, ``.gguf``, ``.npz`` or ``.npy``; patterns that match none of these have every file
                that they match looked into.
            exclude: patterns of files that are left out.
            progress: is told of chunks that hold headers, as they are found to be needed, then of all others.

        Returns:
            The tensors by name, in the order of the files' paths and, in each, of the bytes. The shape is that of the
            file, of GGUF's the slowest dimension first; or ``(end - begin, ...)`` with ``rows``. The dtype is that of
            the file, for numpy with ``bfloat16`` and the kinds of ``float8`` from ``ml_dtypes``. Arrays of GGUF and
            safetensors are contiguous; those of npy are as they were saved, ``fortran_order`` included. Each is
            writable, has memory of its own, and is the caller's.

        Raises:
            DataLoss: bytes are not what was pushed; names the file and the chunk.
            UsageError: there is no file that can be loaded, or no such tensor or row; a file breaks its format or
                holds what cannot be loaded (names it); two files have tensors of one name; ``ml_dtypes`` or PyTorch
                is needed and not installed. No tensor has been fetched then.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        parse_ref(ref)
        choice = Choice(tensors, rows)
        selection = Selection(_patterns("include", include), _patterns("exclude", exclude))
        cache = ChunkCache(cache_dir() / "chunks", cache_limit_bytes())
        chosen = framework_of(framework, device)
        return load_tensors(self._connection, ref, selection, choice, chosen, cache, progress or Silent())

    def verify(self, folder: PathLike) -> Verified:
        """Whether a folder still holds what was pulled into it; ``problems`` lists what does not.

        Raises:
            UsageError, VersionNotFound, SourceUnreadable.
        """
        return verify_folder(self._connection, Path(folder))

    # -- the journal ---------------------------------------------------------------------------

    def events(
        self,
        *,
        model: str = "",
        resource: str = "",
        actor: str = "",
        action: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
    ) -> Iterator[Event]:
        """The changes that the journal keeps, in order of revision: those for which all hold that are given.

        Args:
            model: what happened to this model, and to its versions and aliases.
            resource: what happened to this, such as ``fraud.tabular.transformer:7``, and to what is under it.
            actor: what this one did, as the journal has it.
            action: an action such as ``version.committed``, or with a dot at its end all that begin so.
            since: at this time or later; a time without a zone is local.
            until: before this time.
            newest_first: in descending order of revision.

        Raises:
            InvalidName, InvalidRequest, UsageError.
        """
        wanted = events_wanted(model, resource, actor, action, since, until, newest_first)

        def page(token: str) -> tuple[Sequence[journal_pb2.Event], str]:
            wanted.page_token = token
            answer = self._connection.call(self._connection.journal.ListEvents, wanted)
            return answer.events, answer.next_page_token

        return map(convert.event_value, self._pages("events", page))

    def verify_journal(
        self, checkpoint: Checkpoint | PathLike | None = None, *, progress: JournalProgress | None = None
    ) -> Checkpoint:
        """Proves that the journal is what was written, from its first event to its newest; returns where it stands.

        The server checks itself, its own record of the newest event included. Then all events come here, every hash
        is computed again, and the newest must be the one that the server named. What was cut off from the end, or
        written anew with hashes that fit, only a checkpoint shows: keep those that this returns somewhere else.

        Args:
            checkpoint: one that was taken before, or its file; the journal must still hold it.
            progress: is told how many events are checked, and of how many; each counts twice, there and here.

        Raises:
            JournalBroken: ``details["revision"]`` is the first revision that does not hold.
            SourceUnreadable, UsageError: the checkpoint's file cannot be read, or holds none.
        """
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(Path(checkpoint))
        told = progress or (lambda done, total: None)
        head = server_head(self._connection, told)
        return prove(self.events(), head, checkpoint, self.server, told)

    def checkpoint(self) -> Checkpoint:
        """A checkpoint of the journal as it stands, after proving it. Raises as ``verify_journal``."""
        return self.verify_journal()


def _patterns(which: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise UsageError(f"{which} is a list of patterns, such as [{given!r}]")
    return tuple(given)


def _parents(given: Parents) -> list[Parent]:
    items = [given] if isinstance(given, str) else list(given or ())
    return [item if isinstance(item, Parent) else Parent(item) for item in items]
