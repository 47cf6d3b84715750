"""The code does what protos/SPEC.md says: protos/vectors.json holds, and a second computation agrees with it."""

from __future__ import annotations

import json
import struct
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from blake3 import blake3

import reference_planes
from weighbridge.core.chunking import fixed
from weighbridge.core.chunks import ChunkRef, Codec, EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import chunk_digest, format_digest, parse_digest
from weighbridge.core.errors import ChunkMismatch, InvalidPath, InvalidReference, WeighbridgeError
from weighbridge.core.event_hash import GENESIS, event_hash
from weighbridge.core.manifest import FileManifest, FileSummary, file_manifest, file_root, manifest_digest
from weighbridge.core.paths import check_paths
from weighbridge.core.refs import Ref, parse_ref
from weighbridge.v1 import transfer_pb2
from weighbridge_server.storage.pack_format import pack_footer, pack_header, read_pack_index, read_record, record_header

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "protos" / "vectors.json").read_text())


def each(section: str, **having: str) -> pytest.MarkDecorator:
    """One test for each entry of a section that has these members, named after it."""
    entries = [entry for entry in VECTORS[section] if having.items() <= entry.items()]
    return pytest.mark.parametrize("entry", entries, ids=[entry.get("name") or repr(entry) for entry in entries])


def raw_of(entry: dict[str, Any]) -> bytes:
    return bytes.fromhex(entry["raw"]) * int(entry["times"])


def chunk_of(entry: dict[str, Any]) -> EncodedChunk:
    codec = Codec(transfer_pb2.Codec.Value(entry["codec"]))
    return EncodedChunk(bytes.fromhex(entry["digest"]), entry["raw_bytes"], codec, bytes.fromhex(entry["payload"]))


def crc32c_bit_by_bit(data: bytes) -> int:
    """CRC32C as its polynomial says, in place of the library that the server uses."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@each("chunks")
def test_chunk_digests(entry: dict[str, Any]) -> None:
    raw = raw_of(entry)
    assert len(raw) == entry["raw_bytes"]
    assert chunk_digest(raw) == bytes.fromhex(entry["digest"]) == parse_digest(entry["text"])
    assert format_digest(chunk_digest(raw)) == entry["text"]


@pytest.mark.parametrize("text", VECTORS["digest_texts_refused"])
def test_other_digest_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_digest(text)


@pytest.mark.parametrize("entry", VECTORS["cuts"], ids=[str(entry["size_bytes"]) for entry in VECTORS["cuts"]])
def test_cuts(entry: dict[str, Any]) -> None:
    assert [span.size for span in fixed.spans(entry["size_bytes"])] == entry["chunk_bytes"]


@each("payloads")
def test_payloads_decode(entry: dict[str, Any]) -> None:
    assert open_chunk(chunk_of(entry)) == raw_of(entry)


@each("payloads_refused")
def test_wrong_payloads_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ChunkMismatch):
        open_chunk(chunk_of(entry))


@each("payloads", codec="CODEC_PLANES")
def test_planes_decode_element_by_element(entry: dict[str, Any]) -> None:
    assert reference_planes.decode(bytes.fromhex(entry["payload"]), entry["raw_bytes"]) == raw_of(entry)


@each("payloads_refused", codec="CODEC_PLANES")
def test_wrong_planes_are_refused_element_by_element(entry: dict[str, Any]) -> None:
    payload = bytes.fromhex(entry["payload"])
    try:
        raw = reference_planes.decode(payload, entry["raw_bytes"])
    except ValueError:
        return
    assert len(payload) > entry["raw_bytes"] or blake3(raw).hexdigest() != entry["digest"]


@each("file_roots")
def test_file_roots(entry: dict[str, Any]) -> None:
    chunks = [ChunkRef(bytes.fromhex(chunk["digest"]), chunk["raw_bytes"]) for chunk in entry["chunks"]]
    again = blake3(derive_key_context="weighbridge.v1 file root")
    for chunk in entry["chunks"]:
        again.update(bytes.fromhex(chunk["digest"]))
        again.update(chunk["raw_bytes"].to_bytes(4, "little"))
    assert file_root(chunks).hex() == again.hexdigest() == entry["root"]
    assert file_manifest("any", chunks) == FileManifest("any", entry["size_bytes"], file_root(chunks), chunks)


@each("manifests")
def test_manifest_digests(entry: dict[str, Any]) -> None:
    files = [FileSummary(file["path"], file["size_bytes"], bytes.fromhex(file["root"]), 0) for file in entry["files"]]
    again = blake3(derive_key_context="weighbridge.v1 manifest")
    for file in sorted(entry["files"], key=lambda file: file["path"].encode()):
        path = file["path"].encode()
        again.update(len(path).to_bytes(4, "little") + path)
        again.update(file["size_bytes"].to_bytes(8, "little") + bytes.fromhex(file["root"]))
    assert format_digest(manifest_digest(files)) == f"b3:{again.hexdigest()}" == entry["manifest"]


@each("packs")
def test_packs_are_read_and_written_to_the_byte(entry: dict[str, Any]) -> None:
    pack = bytes.fromhex(entry["pack"])
    pack_id, entries = read_pack_index(pack)
    assert str(pack_id) == entry["id"]
    assert [
        {
            "offset": item.offset,
            "raw_bytes": item.raw_bytes,
            "encoded_bytes": item.encoded_bytes,
            "codec": f"CODEC_{item.codec.name}",
            "digest": item.digest.hex(),
        }
        for item in entries
    ] == entry["entries"]
    chunks = [read_record(pack[item.offset : item.offset + item.record_bytes], item) for item in entries]
    assert [chunk_digest(open_chunk(chunk)) for chunk in chunks] == [item.digest for item in entries]
    written = pack_header(UUID(entry["id"])) + b"".join(record_header(chunk) + chunk.payload for chunk in chunks)
    assert written + pack_footer(entries, len(written)) == pack


@each("packs")
def test_the_checksums_of_packs_cover_what_the_spec_says(entry: dict[str, Any]) -> None:
    pack = bytes.fromhex(entry["pack"])
    footer = entry["footer_offset"]
    for item in entry["entries"]:
        head, payload = item["offset"], item["offset"] + 84
        (stored,) = struct.unpack_from("<I", pack, head + 80)
        covered = pack[head : head + 80] + pack[payload : payload + item["encoded_bytes"]]
        assert crc32c_bit_by_bit(covered) == stored
    offset, count, stored, end = struct.unpack("<QII8s", pack[-24:])
    assert (offset, count, end) == (footer, len(entry["entries"]), b"WBPKEND\n")
    assert crc32c_bit_by_bit(pack[footer:-24]) == stored
    assert len(pack) == footer + 56 * count + 24


@each("events")
def test_event_hashes(entry: dict[str, Any]) -> None:
    previous = bytes.fromhex(entry["previous_hash"])
    computed = event_hash(
        previous,
        revision=entry["revision"],
        time=datetime.fromisoformat(entry["time"]),
        actor=entry["actor"],
        action=entry["action"],
        resource=entry["resource"],
        before=entry["before_json"],
        after=entry["after_json"],
    )
    assert computed.hex() == entry["hash"] == blake3(previous + entry["canonical_json"].encode()).hexdigest()


def test_events_form_a_chain() -> None:
    hashes = [GENESIS.hex(), *(event["hash"] for event in VECTORS["events"])]
    assert [event["previous_hash"] for event in VECTORS["events"]] == hashes[:-1]


@pytest.mark.parametrize("path", VECTORS["paths"]["accepted"])
def test_paths_that_are_taken(path: str) -> None:
    check_paths([path])


@pytest.mark.parametrize("path", VECTORS["paths"]["refused"])
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(InvalidPath) as refused:
        check_paths(["fine", path])
    assert [violation.path for violation in refused.value.violations] == [path]


@pytest.mark.parametrize("paths", VECTORS["path_sets_accepted"])
def test_paths_that_go_together(paths: list[str]) -> None:
    check_paths(paths)


@pytest.mark.parametrize("paths", VECTORS["path_sets_refused"])
def test_paths_that_do_not_go_together(paths: list[str]) -> None:
    for order in (paths, paths[::-1]):
        with pytest.raises(InvalidPath):
            check_paths(order)


@pytest.mark.parametrize("entry", VECTORS["references"], ids=[entry["text"] for entry in VECTORS["references"]])
def test_references_are_read(entry: dict[str, Any]) -> None:
    manifest = parse_digest(entry["manifest"]) if "manifest" in entry else None
    ref = Ref(entry["model"], entry.get("version"), entry.get("alias"), manifest)
    assert parse_ref(entry["text"]) == ref
    assert str(ref) == entry["text"]


@pytest.mark.parametrize("entry", VECTORS["references_refused"], ids=lambda entry: ascii(entry["text"]))
def test_what_is_no_reference_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(WeighbridgeError) as refused:
        parse_ref(entry["text"])
    assert refused.value.reason == entry["reason"]
