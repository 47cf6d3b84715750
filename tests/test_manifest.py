"""A root stands for one chunk list, a manifest digest for one set of files."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.errors import ManifestMismatch
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import (
    FileManifest,
    FileSummary,
    check_file,
    check_manifest,
    file_manifest,
    file_root,
    manifest_digest,
)
from weighbridge.wire import file_stream

CHUNKS = st.lists(
    st.builds(ChunkRef, st.sampled_from([bytes([n]) * 32 for n in range(4)]), st.sampled_from([1, 2, CHUNK_BYTES])),
    max_size=6,
)
FILES = st.dictionaries(st.text(st.sampled_from("ab/é～🚚"), min_size=1, max_size=6), CHUNKS, max_size=5).map(
    lambda files: [file_manifest(path, chunks) for path, chunks in files.items()]
)
FILE = file_manifest("weights.bin", [ChunkRef(chunk_digest(b"abc"), 3), ChunkRef(chunk_digest(b"de"), 2)])


@given(CHUNKS, CHUNKS)
def test_roots_are_equal_where_the_lists_are(one: list[ChunkRef], other: list[ChunkRef]) -> None:
    assert (file_root(one) == file_root(other)) == (one == other)


@given(FILES, FILES)
def test_manifests_are_equal_where_the_files_are(one: list[FileManifest], other: list[FileManifest]) -> None:
    same = {file.path: file for file in one} == {file.path: file for file in other}
    assert (manifest_digest(one) == manifest_digest(other)) == same


@given(FILES, st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_count(files: list[FileManifest], order: random.Random) -> None:
    shuffled = files.copy()
    order.shuffle(shuffled)
    assert manifest_digest(shuffled) == manifest_digest(files)


@given(FILES)
def test_a_summary_stands_for_its_file(files: list[FileManifest]) -> None:
    summaries = [FileSummary(file.path, file.size_bytes, file.root, len(file.chunks)) for file in files]
    check_manifest(summaries, manifest_digest(files))


def test_chunk_root_and_manifest_of_the_same_bytes_differ() -> None:
    assert len({chunk_digest(b""), file_root([]), manifest_digest([])}) == 3


def test_a_file_that_is_what_it_says_passes() -> None:
    check_file(FILE)
    check_file(file_manifest("empty", []))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(FILE, size_bytes=6),
        replace(FILE, root=bytes(32)),
        replace(FILE, chunks=FILE.chunks[::-1]),
        replace(FILE, chunks=FILE.chunks[:1]),
        replace(FILE, chunks=[FILE.chunks[0], replace(FILE.chunks[1], digest=chunk_digest(b"fg"))]),
    ],
    ids=["size", "root", "order", "a chunk less", "another chunk"],
)
def test_a_file_that_is_not_what_it_says_is_named(wrong: FileManifest) -> None:
    with pytest.raises(ManifestMismatch) as refused:
        check_file(wrong)
    assert refused.value.details["path"] == "weights.bin"
    assert refused.value.details["expected"] != refused.value.details["actual"]


@given(FILES, st.data())
def test_another_manifest_digest_is_refused(files: list[FileManifest], data: st.DataObject) -> None:
    expected = data.draw(st.binary(min_size=32, max_size=32))
    assume(expected != manifest_digest(files))
    with pytest.raises(ManifestMismatch) as refused:
        check_manifest(files, expected)
    assert refused.value.details == {
        "expected": format_digest(expected),
        "actual": format_digest(manifest_digest(files)),
    }


@given(FILES)
def test_files_come_out_of_a_stream_as_they_went_in(files: list[FileManifest]) -> None:
    assert list(file_stream.join(file_stream.split(files))) == files


def test_a_long_list_takes_several_messages() -> None:
    file = file_manifest("long", [ChunkRef(chunk_digest(b"abc"), 3)] * 20_000)
    parts = list(file_stream.split([file]))
    assert len(parts) == 4
    assert max(part.ByteSize() for part in parts) < 1024 * 1024
    assert list(file_stream.join(parts)) == [file]


def test_a_stream_with_chunks_missing_added_or_first_is_refused() -> None:
    entry, chunks = file_stream.split([FILE])
    for parts in ([entry], [entry, chunks, chunks], [entry, entry, chunks], [chunks]):
        with pytest.raises(ManifestMismatch):
            list(file_stream.join(parts))
