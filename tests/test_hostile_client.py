"""Clients that lie: whatever they send, no wrong byte is stored and the server does not grow."""

from __future__ import annotations

import base64
import itertools
import os
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
import zstandard

from conftest import RunningServer
from raw_client import (
    MIB,
    PATIENCE_S,
    Put,
    RawClient,
    chunk_ref,
    file_of,
    manifest_of,
    opened,
    peak_bytes,
    put_opened,
    put_part,
    raw_chunk,
    refused,
    sent,
)
from weighbridge.core.digest import chunk_digest
from weighbridge.core.manifest import file_root
from weighbridge.v1 import (
    deployments_pb2,
    deployments_pb2_grpc,
    journal_pb2,
    journal_pb2_grpc,
    models_pb2,
    transfer_pb2,
    versions_pb2,
)
from weighbridge.wire.channel import ACTOR_HEADER

NewModel = Callable[[], str]
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
RAW, ZSTD = transfer_pb2.CODEC_RAW, transfer_pb2.CODEC_ZSTD
EMPTY_ROOT = file_root([])
GROWTH_BYTES = 64 * MIB
"""What any of these may add to the peak; the attacks would add hundreds or thousands."""


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """A raw client of the shared server."""
    with RawClient(server.address) as client:
        yield client


@pytest.fixture
def model(raw: RawClient, new_model: NewModel) -> str:
    """A registered model."""
    return raw.create(new_model())


@pytest.fixture
def upload_id(raw: RawClient, model: str) -> str:
    """An open upload."""
    return raw.begin(model)


# -- chunks ------------------------------------------------------------------------------------


def bomb(stated: int, blocks: int) -> bytes:
    """A zstd frame that states a size and holds blocks of 128 KiB of one byte each, at 4 bytes a block."""
    frame = struct.pack("<IBI", zstandard.MAGIC_NUMBER, 0b1010_0000, stated)
    for left in reversed(range(blocks)):
        frame += struct.pack("<I", (128 * 1024) << 3 | 0b010 | (left == 0))[:3] + b"\0"
    return frame


RAW_BYTES = os.urandom(500) + bytes(500)
FRAME = zstandard.compress(RAW_BYTES)
UNSIZED = zstandard.ZstdCompressor(write_content_size=False).compress(RAW_BYTES)
ZEROS = bytes(2 * MIB)

BAD_CHUNKS: dict[str, tuple[str, dict[str, Any]]] = {
    "another digest": ("CHUNK_MISMATCH", {"payload": RAW_BYTES[::-1]}),
    "longer than it says": ("CHUNK_MISMATCH", {"raw_bytes": 999}),
    "shorter than it says": ("CHUNK_MISMATCH", {"raw_bytes": 1001}),
    "a frame under RAW": ("CHUNK_MISMATCH", {"payload": FRAME}),
    "no frame under ZSTD": ("CHUNK_MISMATCH", {"codec": ZSTD}),
    "a frame of another length": ("CHUNK_MISMATCH", {"codec": ZSTD, "payload": FRAME, "raw_bytes": 1001}),
    "a frame that states 1 GiB": (
        "CHUNK_MISMATCH",
        {"digest": chunk_digest(ZEROS), "codec": ZSTD, "payload": bomb(2**30, 8192), "raw_bytes": 2 * MIB},
    ),
    "a frame that states 2 MiB and holds 1 GiB": (
        "CHUNK_MISMATCH",
        {"digest": chunk_digest(ZEROS), "codec": ZSTD, "payload": bomb(2 * MIB, 8192), "raw_bytes": 2 * MIB},
    ),
    "a frame without a size": ("CHUNK_MISMATCH", {"codec": ZSTD, "payload": UNSIZED}),
    "two frames": (
        "CHUNK_MISMATCH",
        {"codec": ZSTD, "payload": FRAME + FRAME, "raw_bytes": 2000, "digest": chunk_digest(RAW_BYTES * 2)},
    ),
    "a frame and more": ("CHUNK_MISMATCH", {"codec": ZSTD, "payload": FRAME + zstandard.compress(b"")}),
    "a frame cut short": ("CHUNK_MISMATCH", {"codec": ZSTD, "payload": FRAME[:-1]}),
    "codec 0": ("INVALID_REQUEST", {"codec": 0}),
    "codec 99": ("INVALID_REQUEST", {"codec": 99}),
    "a payload of 2 MiB and a byte": ("INVALID_REQUEST", {"payload": bytes(2 * MIB + 1), "raw_bytes": 2 * MIB}),
    "2 MiB and a byte": ("INVALID_REQUEST", {"raw_bytes": 2 * MIB + 1, "codec": ZSTD, "payload": FRAME}),
    "no payload": ("INVALID_REQUEST", {"payload": b""}),
    "no bytes": ("INVALID_REQUEST", {"raw_bytes": 0}),
}


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_a_chunk_that_lies_is_refused_and_what_was_durable_stays(
    server: RunningServer, raw: RawClient, upload_id: str, kind: str
) -> None:
    reason, fields = BAD_CHUNKS[kind]
    right = {"digest": chunk_digest(RAW_BYTES), "raw_bytes": 1000, "codec": RAW, "payload": RAW_BYTES}
    good, bad = raw_chunk(os.urandom(100)), transfer_pb2.Chunk(**{**right, **fields})
    before = peak_bytes(server)
    durable = threading.Event()

    def messages() -> Iterator[transfer_pb2.UploadChunksRequest]:
        yield opened(upload_id)
        yield sent(good)
        assert durable.wait(PATIENCE_S)
        yield sent(bad)

    def exchange() -> None:
        for response in raw.transfer.UploadChunks(messages()):
            if response.WhichOneof("message") == "durable":
                assert list(response.durable.digests) == [good.digest]
                durable.set()

    refusal = refused(exchange)
    assert durable.is_set()
    assert (refusal.code, refusal.reason) == (INVALID, reason)
    assert raw.missing(upload_id, [good.digest, bad.digest]) == [bad.digest]
    assert peak_bytes(server) - before < GROWTH_BYTES


def test_a_digest_of_31_bytes_is_refused(raw: RawClient, upload_id: str) -> None:
    chunk = raw_chunk(RAW_BYTES)
    chunk.digest = chunk.digest[:31]
    refusal = refused(lambda: raw.send(upload_id, chunk))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")
    assert [field for field, _ in refusal.violations] == ["chunk.digest"]


def test_tiny_chunks_by_the_thousands_do_not_grow_the_server(
    server: RunningServer, raw: RawClient, upload_id: str
) -> None:
    """Each is 4 bytes: a pack full of them would have a million records, and its ack 40 MB."""
    count, before, most, durable = 18_000, peak_bytes(server), 0, 0

    def messages() -> Iterator[transfer_pb2.UploadChunksRequest]:
        yield opened(upload_id)
        for number in range(count):
            yield sent(raw_chunk(struct.pack("<I", number)))

    for response in raw.transfer.UploadChunks(messages()):
        most = max(most, len(response.durable.digests))
        durable += len(response.durable.digests)
    assert durable == count
    assert most <= 16_384
    assert peak_bytes(server) - before < GROWTH_BYTES


# -- the order of messages, and whose upload it is ----------------------------------------------


Call = Callable[[RawClient, str], Any]
CALLS: dict[str, Call] = {
    "UploadChunks": lambda raw, upload_id: raw.send(upload_id, raw_chunk(RAW_BYTES)),
    "PutManifest": lambda raw, upload_id: raw.put(upload_id, file_of("empty")[0]),
    "FindMissingChunks": lambda raw, upload_id: raw.missing(upload_id, [chunk_digest(RAW_BYTES)]),
    "CommitVersion": lambda raw, upload_id: raw.commit(upload_id, file_of("empty")[0]),
}


@pytest.mark.parametrize("unknown", ["0190b2a4-0000-7000-8000-000000000000", "nonsense", "\0", "x" * MIB])
@pytest.mark.parametrize("method", CALLS)
def test_an_unknown_upload_is_not_found(raw: RawClient, method: str, unknown: str) -> None:
    refusal = refused(lambda: CALLS[method](raw, unknown))
    assert (refusal.code, refusal.reason) == (NOT_FOUND, "UPLOAD_NOT_FOUND")


@pytest.mark.parametrize("method", CALLS)
def test_an_aborted_upload_takes_nothing(raw: RawClient, upload_id: str, method: str) -> None:
    raw.versions.AbortVersion(versions_pb2.AbortVersionRequest(upload_id=upload_id))
    refusal = refused(lambda: CALLS[method](raw, upload_id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_ENDED")


@pytest.mark.parametrize("method", CALLS)
def test_another_caller_s_upload_is_not_found(raw: RawClient, model: str, method: str) -> None:
    begin = versions_pb2.BeginVersionRequest(model=model)
    theirs = raw.versions.BeginVersion(begin, metadata=((ACTOR_HEADER, "somebody-else"),)).upload_id
    refusal = refused(lambda: CALLS[method](raw, theirs))
    assert (refusal.code, refusal.reason) == (NOT_FOUND, "UPLOAD_NOT_FOUND")


Messages = Callable[[str], list[Any]]
UPLOADS_OUT_OF_ORDER: dict[str, Messages] = {
    "nothing": lambda upload_id: [],
    "a chunk first": lambda upload_id: [sent(raw_chunk(RAW_BYTES))],
    "an empty message first": lambda upload_id: [transfer_pb2.UploadChunksRequest()],
    "open twice": lambda upload_id: [opened(upload_id), opened(upload_id)],
    "open between chunks": lambda upload_id: [opened(upload_id), sent(raw_chunk(b"1")), opened(upload_id)],
    "an empty message": lambda upload_id: [opened(upload_id), transfer_pb2.UploadChunksRequest()],
    "an empty id": lambda upload_id: [opened("")],
}
PUTS_OUT_OF_ORDER: dict[str, Messages] = {
    "nothing": lambda upload_id: [],
    "a file first": lambda upload_id: [put_part(file_of("f")[0])],
    "open twice": lambda upload_id: [put_opened(upload_id), put_opened(upload_id)],
    "an empty message": lambda upload_id: [put_opened(upload_id), Put()],
}


@pytest.mark.parametrize("kind", UPLOADS_OUT_OF_ORDER)
def test_chunks_out_of_order_are_refused(raw: RawClient, upload_id: str, kind: str) -> None:
    refusal = refused(lambda: list(raw.transfer.UploadChunks(iter(UPLOADS_OUT_OF_ORDER[kind](upload_id)))))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")


@pytest.mark.parametrize("kind", PUTS_OUT_OF_ORDER)
def test_files_out_of_order_are_refused(raw: RawClient, upload_id: str, kind: str) -> None:
    refusal = refused(lambda: raw.transfer.PutManifest(iter(PUTS_OUT_OF_ORDER[kind](upload_id))))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")


# -- manifests ---------------------------------------------------------------------------------


BAD_PATHS = {
    "../up": "leads outside",
    "a/../../up": "leads outside",
    "/etc/passwd": "is absolute",
    "a\0b": "NUL",
    "a\\b": "backslash",
    "a//b": "empty or '.' segment",
    "./a": "empty or '.' segment",
    "a/": "empty or '.' segment",
    "x" * 513: "is 513 bytes long",
    "é" * 256 + "x": "is 513 bytes long",
}


def test_all_paths_that_cannot_be_held_are_listed(raw: RawClient, upload_id: str) -> None:
    paths = ["good.bin", *BAD_PATHS, "Case", "cASE", "folder", "folder/file"]
    refusal = refused(lambda: raw.put(upload_id, *(file_of(path)[0] for path in paths)))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_PATH")
    said = dict(refusal.violations)
    for path, what in (BAD_PATHS | {"cASE": "collides with 'Case'", "folder/file": "needs a folder"}).items():
        carried = path.encode()[:512].decode(errors="ignore")  # as much of a path as a status takes
        assert what in said[carried]
    assert "good.bin" not in said
    assert raw.put(upload_id) == 0  # nothing of it was recorded


def test_paths_that_collide_across_calls_are_refused_at_the_commit(raw: RawClient, upload_id: str) -> None:
    one, two = file_of("Weights")[0], file_of("weights")[0]
    assert raw.put(upload_id, one) == 1
    assert raw.put(upload_id, two) == 2
    refusal = refused(lambda: raw.commit(upload_id, one, two))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_PATH")


def entry(**fields: Any) -> transfer_pb2.FileEntry:
    """The entry of an empty file, with other fields."""
    return transfer_pb2.FileEntry(**{"path": "f", "size_bytes": 0, "root": EMPTY_ROOT, "chunks_total": 0, **fields})


FILE, LIST = file_of("f", b"one", b"two")
TWICE = transfer_pb2.ChunkList(chunks=[*LIST.chunks, *LIST.chunks])
LIES: dict[str, tuple[str, list[Any]]] = {
    "chunks before the first file": ("MANIFEST_MISMATCH", [LIST]),
    "more chunks than announced": ("MANIFEST_MISMATCH", [FILE, TWICE]),
    "fewer chunks than announced": ("MANIFEST_MISMATCH", [FILE]),
    "fewer chunks, then another file": ("MANIFEST_MISMATCH", [FILE, entry(path="g")]),
    "chunks of an empty file": ("MANIFEST_MISMATCH", [entry(), LIST]),
    "another root": ("MANIFEST_MISMATCH", [entry(size_bytes=6, root=bytes(32), chunks_total=2), LIST]),
    "another size": ("MANIFEST_MISMATCH", [entry(size_bytes=7, root=FILE.root, chunks_total=2), LIST]),
    "a size of 2^64 - 1": ("MANIFEST_MISMATCH", [entry(size_bytes=2**64 - 1)]),
    "2^63 chunks": ("LIMIT_EXCEEDED", [entry(chunks_total=2**63)]),
    "an empty list": ("INVALID_REQUEST", [FILE, transfer_pb2.ChunkList()]),
    "16,385 chunks in a message": (
        "INVALID_REQUEST",
        [entry(chunks_total=16_385), transfer_pb2.ChunkList(chunks=[chunk_ref(b"one")] * 16_385)],
    ),
    "a chunk of no bytes": (
        "INVALID_REQUEST",
        [FILE, transfer_pb2.ChunkList(chunks=[chunk_ref(b"")])],
    ),
    "a root of 31 bytes": ("INVALID_REQUEST", [entry(root=bytes(31))]),
    "a path of 64 KiB and a byte": ("INVALID_REQUEST", [entry(path="x" * 65_537)]),
    "no path": ("INVALID_REQUEST", [entry(path="")]),
}


@pytest.mark.parametrize("kind", LIES)
def test_a_manifest_that_lies_is_refused(raw: RawClient, upload_id: str, kind: str) -> None:
    reason, parts = LIES[kind]
    raw.send(upload_id, raw_chunk(b"one"), raw_chunk(b"two"))
    refusal = refused(lambda: raw.put(upload_id, *parts))
    assert (refusal.code, refusal.reason) == (INVALID, reason)
    assert raw.put(upload_id, FILE, LIST) == 1  # what is right is taken, and nothing else was


def test_chunks_that_the_upload_does_not_hold_are_named(raw: RawClient, upload_id: str) -> None:
    ours, theirs = os.urandom(10), os.urandom(10)
    raw.send(upload_id, raw_chunk(ours))
    refusal = refused(lambda: raw.put(upload_id, *file_of("f", ours, theirs)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHUNKS_MISSING")
    assert [field for field, _ in refusal.violations] == ["b3:" + chunk_digest(theirs).hex()]


@pytest.mark.long
@pytest.mark.parametrize("path_bytes", [20, 65_000])
def test_a_stream_of_files_without_end_ends(
    server: RunningServer, raw: RawClient, upload_id: str, path_bytes: int
) -> None:
    """Paths of 64 KiB are refused soon: 16,000 of them would take a gigabyte."""
    before = peak_bytes(server)

    def messages() -> Iterator[Put]:
        yield put_opened(upload_id)
        for number in itertools.count():
            yield put_part(entry(path=f"{number}".ljust(path_bytes, "x")))

    refusal = refused(lambda: raw.transfer.PutManifest(messages()))
    assert refusal.code is INVALID
    assert refusal.reason == ("LIMIT_EXCEEDED" if path_bytes == 20 else "INVALID_PATH")
    assert peak_bytes(server) - before < GROWTH_BYTES


# -- commits -----------------------------------------------------------------------------------


def test_a_commit_of_what_was_not_put_is_refused(raw: RawClient, model: str, upload_id: str) -> None:
    chunks = os.urandom(10), os.urandom(10)
    raw.send(upload_id, *map(raw_chunk, chunks))
    one, two = file_of("one", chunks[0]), file_of("two", chunks[1])
    assert refused(lambda: raw.commit(upload_id)).reason == "INVALID_REQUEST"  # no file at all
    raw.put(upload_id, *one)
    for files in ([one[0], two[0]], [two[0]], [entry(path="one")]):
        refusal = refused(lambda files=files: raw.commit(upload_id, *files))  # type: ignore[misc]
        assert (refusal.code, refusal.reason) == (INVALID, "MANIFEST_MISMATCH")
    unnumbered = versions_pb2.ListVersionsRequest(model=model)
    assert list(raw.versions.ListVersions(unnumbered).versions) == []
    assert raw.commit(upload_id, one[0]) == f"{model}:1"
    assert raw.versions.ListVersions(unnumbered).versions[0].manifest_digest == manifest_of(one[0])


# -- requests that are too large or cannot be meant ---------------------------------------------


Request = Callable[[RawClient, str], Any]


def find(digests: list[bytes]) -> Request:
    """Asks for digests."""
    return lambda raw, upload_id: raw.missing(upload_id, digests)


def commit_with(**fields: Any) -> Request:
    """A commit with such fields."""
    return lambda raw, upload_id: raw.versions.CommitVersion(
        versions_pb2.CommitVersionRequest(upload_id=upload_id, manifest_digest="b3:" + "0" * 64, **fields)
    )


def begin_with(**record: Any) -> Request:
    """A begin with such a record."""
    return lambda raw, upload_id: raw.versions.BeginVersion(
        versions_pb2.BeginVersionRequest(model="a.b.c", record=record)  # type: ignore[arg-type]
    )


LARGE: dict[str, Request] = {
    "16,385 digests": find([bytes(32)] * 16_385),
    "digests of 31 bytes": find([bytes(31)] * 3),
    "1.9 million empty digests": find([b""] * 1_900_000),
    "1.9 million empty metric points": commit_with(metrics=[{}] * 1_900_000),
    "1.9 million empty datasets": begin_with(datasets=[{}] * 1_900_000),
    "1.9 million empty chunks of a list": lambda raw, upload_id: raw.put(
        upload_id, FILE, transfer_pb2.ChunkList(chunks=[transfer_pb2.ChunkRef()] * 1_900_000)
    ),
    "1.9 million digests to download": lambda raw, upload_id: list(
        raw.transfer.DownloadChunks(transfer_pb2.DownloadChunksRequest(ref="a.b.c", digests=[b""] * 1_900_000))
    ),
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_request_beyond_its_rules_is_refused_at_once(
    server: RunningServer, raw: RawClient, upload_id: str, kind: str
) -> None:
    """Millions of wrong values fit a message of 4 MiB; telling of each took 6 GB and 48 s."""
    before = peak_bytes(server)
    refusal = refused(lambda: LARGE[kind](raw, upload_id))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")
    assert refusal.violations
    assert peak_bytes(server) - before < 3 * GROWTH_BYTES  # 4 MiB of empty messages take some 50 as objects


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_over_4_mib_is_refused_however_small_it_is_packed(
    server: RunningServer, raw: RawClient, compression: grpc.Compression
) -> None:
    before = peak_bytes(server)
    call: Any = raw.channel.unary_unary("/weighbridge.v1.VersionService/GetVersion")
    refusal = refused(lambda: call(bytes(150 * MIB), compression=compression))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert peak_bytes(server) - before < GROWTH_BYTES
    assert raw.serving()


@pytest.mark.parametrize(
    "ref",
    [
        *("", "a", "a.b", "a.b.c.d", "A.b.c", "a.b.c\0", "a.b\n.c", "a.b.c:", "a.b.c:0", "a.b.c:-1", "a.b.c:1\n"),
        *("a.b.c:9223372036854775808", "a.b.c:٣", "a.b.c@", "a.b.c@x\0", "a.b.c@x/../y", "a.b.c#b3:00", "a.b.c#"),
        *("a.b.c@" + "x" * MIB, "x" * MIB, "a.b.c:" + "9" * MIB, "." * MIB, "a.b.c\u202e"),
    ],
    ids=lambda ref: repr(ref[:20]),
)
def test_a_reference_that_cannot_be_meant_is_refused(raw: RawClient, ref: str) -> None:
    for call in (
        lambda: raw.versions.GetVersion(versions_pb2.GetVersionRequest(ref=ref)),
        lambda: list(raw.transfer.GetManifest(transfer_pb2.GetManifestRequest(ref=ref))),
        lambda: list(raw.transfer.DownloadChunks(transfer_pb2.DownloadChunksRequest(ref=ref))),
        lambda: list(raw.transfer.ReadFile(transfer_pb2.ReadFileRequest(ref=ref, path="f"))),
    ):
        refusal = refused(call)
        assert refusal.code is INVALID
        assert refusal.reason in ("INVALID_REFERENCE", "INVALID_NAME", "INVALID_REQUEST")


@pytest.mark.parametrize("token", ["?", "x", "\0", "é", "x" * 1025, "MQ=", "LTE=", "AA==", "7aCA"])
def test_a_page_token_that_no_list_returned_is_refused(server: RunningServer, raw: RawClient, token: str) -> None:
    journal = journal_pb2_grpc.JournalServiceStub(raw.channel)
    calls: list[Callable[[], Any]] = [
        lambda: raw.versions.ListVersions(versions_pb2.ListVersionsRequest(page_token=token)),
        lambda: journal.ListEvents(journal_pb2.ListEventsRequest(page_token=token)),
    ]
    if token != "LTE=":  # "-1" is a key that the list of models takes as any text
        calls.append(lambda: raw.models.ListModels(models_pb2.ListModelsRequest(page_token=token)))
    for call in calls:
        refusal = refused(call)
        assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "key",
    ["5", "null", "{}", "[" * 700, '["a"]', '["a", 1]', r'["\ud800", "a"]', r'["\u0000", "a"]', '["a", "b", "c"]'],
)
def test_a_page_token_of_two_texts_that_no_list_returned_is_refused(raw: RawClient, key: str) -> None:
    token = base64.urlsafe_b64encode(key.encode()).decode()
    stub = deployments_pb2_grpc.DeploymentServiceStub(raw.channel)
    refusal = refused(lambda: stub.ListDeployments(deployments_pb2.ListDeploymentsRequest(page_token=token)))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")


# -- reads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "limit", "begin", "end"),
    [
        (2**63, 2**63, 12, 12),
        (2**64 - 1, 2**64 - 1, 12, 12),
        (0, 2**64 - 1, 0, 12),
        (5, 2**63, 5, 12),
        (12, 0, 12, 12),
        (11, 1, 11, 12),
    ],
)
def test_a_range_far_beyond_a_file_gives_what_there_is(
    raw: RawClient, model: str, offset: int, limit: int, begin: int, end: int
) -> None:
    ref = raw.push(model, b"first ", b"second")
    request = transfer_pb2.ReadFileRequest(ref=ref, path="weights.bin", offset_bytes=offset, limit_bytes=limit)
    assert b"".join(answer.data for answer in raw.transfer.ReadFile(request)) == b"first second"[begin:end]


@pytest.mark.parametrize("path", ["nothing", "../weights.bin", "/etc/passwd", "x" * MIB])
def test_a_file_that_the_version_does_not_hold_is_not_found(raw: RawClient, model: str, path: str) -> None:
    ref = raw.push(model, RAW_BYTES)
    refusal = refused(lambda: list(raw.transfer.ReadFile(transfer_pb2.ReadFileRequest(ref=ref, path=path))))
    assert (refusal.code, refusal.reason) == (NOT_FOUND, "FILE_NOT_FOUND")


def download(raw: RawClient, ref: str, digests: list[bytes]) -> list[bytes]:
    """The payloads of chunks."""
    request = transfer_pb2.DownloadChunksRequest(ref=ref, digests=digests)
    return [answer.chunk.payload for answer in raw.transfer.DownloadChunks(request)]


def test_a_chunk_of_another_version_is_not_found_and_the_right_ones_are_not_sent(
    raw: RawClient, model: str, new_model: NewModel
) -> None:
    ref = raw.push(model, RAW_BYTES)
    secret = os.urandom(100)
    raw.push(raw.create(new_model()), secret)
    answers: list[bytes] = []
    for outside in (chunk_digest(secret), bytes(32)):
        asked = [chunk_digest(RAW_BYTES), outside]
        refusal = refused(lambda asked=asked: answers.extend(download(raw, ref, asked)))  # type: ignore[misc]
        assert (refusal.code, refusal.reason) == (NOT_FOUND, "CHUNK_NOT_FOUND")
    assert answers == []


@pytest.mark.long
def test_one_digest_16_384_times_is_one_chunk_as_often(server: RunningServer, raw: RawClient, model: str) -> None:
    ref = raw.push(model, RAW_BYTES)
    before = peak_bytes(server)
    payloads = download(raw, ref, [chunk_digest(RAW_BYTES)] * 16_384)
    assert len(payloads) == 16_384
    assert set(payloads) == {RAW_BYTES}
    assert peak_bytes(server) - before < GROWTH_BYTES
