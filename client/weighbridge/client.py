"""Connecting to a server, and the calls that a person makes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from weighbridge.cache import ChunkCache
from weighbridge.calls.admin import AdminCalls
from weighbridge.calls.aliases import AliasCalls
from weighbridge.calls.comparison import ComparisonCalls
from weighbridge.calls.connected import PathLike
from weighbridge.calls.deployments import DeploymentCalls
from weighbridge.calls.journal import JournalCalls
from weighbridge.calls.lineage import LineageCalls
from weighbridge.calls.metrics import MetricCalls
from weighbridge.calls.models import ModelCalls
from weighbridge.calls.policies import PolicyCalls
from weighbridge.calls.recipes import RecipeCalls
from weighbridge.calls.schemas import SchemaCalls
from weighbridge.calls.search import SearchCalls
from weighbridge.calls.version_changes import VersionChangeCalls
from weighbridge.calls.versions import VersionCalls
from weighbridge.calls.watching import WatchCalls
from weighbridge.calls.webhooks import WebhookCalls
from weighbridge.core.deployment_check import check_report
from weighbridge.core.deployments import DEFAULT_TTL_S
from weighbridge.core.errors import UsageError, WeighbridgeError
from weighbridge.core.record_check import check_metrics
from weighbridge.core.refs import check_model_name, parse_alias, parse_ref
from weighbridge.core.scalars import plain
from weighbridge.core.values import Dataset, MetricPoint, Record, Scalar
from weighbridge.fetch import fetch_manifest
from weighbridge.follow import Follower, Steps, Swap, default_node
from weighbridge.follower_folder import FollowerFolder
from weighbridge.load import load_tensors
from weighbridge.local_state import cache_dir, cache_limit_bytes
from weighbridge.open_file import FileReader, open_file
from weighbridge.parents import Parents, pinned
from weighbridge.progress import Progress, Silent
from weighbridge.pull import Pulled, pull_version
from weighbridge.selection import Selection
from weighbridge.source import scan
from weighbridge.tensors.choice import Choice, Rows, Tensors
from weighbridge.tensors.frameworks import framework_of
from weighbridge.verify import Verified, verify_folder
from weighbridge.version import Pushed, VersionInProgress
from weighbridge.wire.connection import RETRY_LIMIT_S, Connection

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_SERVER = "127.0.0.1:8420"
_HOST = re.compile(r"[!-.0-~]+")
"""Printable ASCII without blanks and slashes: a name or an address, which one is for the resolver to say."""
_LARGEST_PORT = 65_535
_LONGEST_TOKEN = 4096


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
        token: by default ``WEIGHBRIDGE_TOKEN``, or what the file ``WEIGHBRIDGE_TOKEN_FILE`` holds, or none.
        retry_limit_s: how long work that stands still, because a server that was there cannot be reached, is
            tried again before its error is raised. What moves again has the whole time anew.

    Raises:
        UsageError: ``server`` is not of the form ``HOST:PORT``, or the token cannot be read or sent.
    """
    return Client(connection_to(server, token=token, retry_limit_s=retry_limit_s))


def connection_to(
    server: str | None = None, *, token: str | None = None, retry_limit_s: float = RETRY_LIMIT_S
) -> Connection:
    """The connection of ``connect``, which see."""
    address = server or os.environ.get("WEIGHBRIDGE_SERVER") or DEFAULT_SERVER
    host, colon, port = address.rpartition(":")
    if not (colon and _HOST.fullmatch(host) and port.isascii() and port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise UsageError(f"{address!r} is not HOST:PORT, such as {DEFAULT_SERVER} (see --server, WEIGHBRIDGE_SERVER)")
    token = token or os.environ.get("WEIGHBRIDGE_TOKEN") or token_in_file()
    if token and not (token.isascii() and token.isprintable()):  # gRPC would refuse every call, and not say why
        raise UsageError(
            "the token is not printable ASCII; it may have a line break at its end (see --token, WEIGHBRIDGE_TOKEN)"
        )
    return Connection(address, token, retry_limit_s=retry_limit_s)


def token_in_file() -> str | None:
    """The token in the file that ``WEIGHBRIDGE_TOKEN_FILE`` names; None where it names none.

    Raises:
        UsageError: the file cannot be read, or is far too long.
    """
    path = os.environ.get("WEIGHBRIDGE_TOKEN_FILE")
    if not path:
        return None
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_LONGEST_TOKEN + 1)
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is no text"
        raise UsageError(f"cannot read the token in {path} (WEIGHBRIDGE_TOKEN_FILE): {why}") from fault
    if len(text) > _LONGEST_TOKEN or not text.strip():
        raise UsageError(f"{path} (WEIGHBRIDGE_TOKEN_FILE) holds no token, which is one line of text")
    return text.strip()


class Client(
    ModelCalls,
    RecipeCalls,
    SchemaCalls,
    PolicyCalls,
    VersionCalls,
    SearchCalls,
    VersionChangeCalls,
    LineageCalls,
    AliasCalls,
    MetricCalls,
    JournalCalls,
    WatchCalls,
    ComparisonCalls,
    DeploymentCalls,
    AdminCalls,
    WebhookCalls,
):
    """A client of one server. A context manager; safe to use from several threads of the process that made it.

    Connect anew in a process that is forked from that one.

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
            SchemaViolated: the record breaks the schema that governs the model; one violation each. What it asks of
                metrics and files, the commit sees.
            PolicyRefused: as much of the policy for ``development`` as can be known before the commit refuses it.
            ModelDeleted: the model, or that of a parent, was deleted.
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded, VersionNotFound, AliasNotFound.
        """
        check_model_name(model)
        record = Record(
            description=description,
            params=plain(params),
            tags=plain(tags),
            datasets=tuple(datasets),
            parents=pinned(parent, lambda ref: self.resolve(ref).ref),
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
        # Before anything is begun, so that a refusal changes nothing.
        sources = scan(paths)
        check_metrics([MetricPoint(name, value) for name, value in (metrics or {}).items()])
        version = self.begin(model, **record)
        try:
            version.add_sources(sources)
            version.log_metrics(metrics or {})
            return version.commit()
        except BaseException:
            version.abort()
            raise

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
        """Loads tensors of a version straight into memory; nothing is written to disk.

        Only the chunks that hold what is wanted are fetched, several at once, those that a pull left in the cache not
        at all; each is verified before a byte of it is used. It takes the memory of the tensors, the headers of their
        files and some 20 chunks of 2 MiB.

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

    def open(self, ref: str, path: PathLike) -> FileReader:
        """Opens one file of a version for reading, seekable, in binary; nothing of it is fetched yet.

        Only the chunks that hold what is read come, from the cache of chunks or from the server, each verified before
        a byte of it is seen; those that are likely to be read next come ahead, at most 8 of 2 MiB. The version is
        settled here: what the reference stands for later makes no difference.

        Args:
            ref: any reference.
            path: the file's, as ``files`` lists it.

        Raises:
            FileNotInVersion: the version has no such file; says which come close.
            DataLoss: the manifest is not what was committed. Of the file's bytes, each read says so.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        manifest = self._connection.patience().run(lambda: fetch_manifest(self._connection, ref))
        return open_file(
            self._connection, manifest, os.fspath(path), ChunkCache(cache_dir() / "chunks", cache_limit_bytes())
        )

    def follow(
        self,
        ref: str,
        on_change: Callable[[Swap], object],
        dest: PathLike | None = None,
        *,
        node: str = "",
        ttl_s: int = DEFAULT_TTL_S,
        on_error: Callable[[Exception], object] | None = None,
    ) -> Follower:
        """Keeps to an alias: each version that it comes to point at is pulled, handed over, and reported.

        The new version is pulled beside the one that runs, and every byte verified; then ``on_change`` is called with
        it, in a thread of the follower's. When that returns, the new one is what runs: it is what is reported, and the
        folder of the old one is removed. Whatever fails before leaves the old one running, is told to ``on_error`` and
        logged, and is tried again until it succeeds or the alias moves on; a version that the alias has left before it
        was pulled is not handed over. Where the alias points nowhere, what runs goes on. A server that is away is
        waited for. Once a version has taken over, so is whatever else ends the watch, such as a model that is deleted:
        it is told once, and tried again at least each minute.

        Args:
            ref: ``name@alias``; it need not point anywhere yet.
            on_change: takes the new version into use, and returns when nothing reads the old one any more.
            dest: a folder of the follower's own, by default ``<model>/<alias>``: each version is in a folder below it
                that is called by its number. Those that the follower pulled, or whose receipt says that a version of
                the model was pulled into them, are removed when another has taken over; what else is there stays.
            node: the name under which the node reports; by default the machine's. Two processes of a machine that
                follow one model need two.
            ttl_s: a node that has not been heard of for so many seconds counts as silent.
            on_error: is told of what failed, in a thread of the follower's. What it raises itself is logged.

        Returns:
            The follower, at once: ``wait()`` waits for the first version, ``close()`` ends it and retires the node. It
            has connections of its own: it goes on when the client is closed.

        Raises:
            InvalidName, InvalidReference: ``ref`` is no alias. What else is wrong, ``wait`` raises.
            InvalidRequest: ``node`` or ``ttl_s`` cannot be.
            UsageError: another follower has ``dest``, in this process or another; or the client is closed.
            DestinationUnwritable: ``dest`` cannot be made.
        """
        model, alias = parse_alias(ref)
        node = node or default_node()
        check_report(node, alias, ttl_s)
        watching = Client(self._connection.another())  # so that closing the follower ends its calls, and no others
        # Not the same: a report that is cut off may reach the server after the node has retired. And not this client's,
        # which may be closed before the follower is.
        reporting = Client(self._connection.another())
        try:
            folder = FollowerFolder(Path(model, alias) if dest is None else Path(dest), model)
        except WeighbridgeError:
            watching.close()
            reporting.close()
            raise
        steps = Steps(
            watch=lambda: watching.watch(ref),
            pull=watching.pull,
            stop=watching.close,
            report=lambda runs: reporting.report_deployment(node=node, ref=runs, alias=alias, ttl_s=ttl_s),
            retire=lambda: reporting.retire_deployment(node=node, model=model),
            close=reporting.close,
        )
        return Follower(steps, folder, on_change, ttl_s=ttl_s, on_error=on_error)

    def verify(self, folder: PathLike) -> Verified:
        """Whether a folder still holds what was pulled into it; ``problems`` lists what does not.

        Raises:
            UsageError, VersionNotFound, SourceUnreadable.
        """
        return verify_folder(self._connection, Path(folder))


def _patterns(which: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise UsageError(f"{which} is a list of patterns, such as [{given!r}]")
    return tuple(given)
