"""No unverified byte gets into an array, and a stream that fails is taken up again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from hostile_server import REF, Content, HostileServer, chunk_answer
from tensor_files import layers, same
from test_chunking_formats import npy_of
from test_damage import flip, packs
from weighbridge.core.digest import SIZE_BYTES, chunk_digest
from weighbridge.core.limits import CHUNK_BYTES

pytest_plugins = ["hostile_fixtures", "load_fixtures"]


def damage(server: RunningServer, chunk: bytes) -> None:
    """Inverts a byte behind the digest in the record of a chunk."""
    for pack in packs(server):
        at = pack.read_bytes().find(chunk_digest(chunk))
        if at >= 0:
            flip(pack, at + SIZE_BYTES)
            return
    raise AssertionError("it is not stored")


@pytest.mark.long
def test_a_damaged_chunk_is_data_loss_by_name(
    own_server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = layers(4, CHUNK_BYTES)
    content = save_safetensors(tensors)
    (tmp_path / "model.safetensors").write_bytes(content)
    with own_server.connect() as client:
        ref = client.push("a.b.c", tmp_path / "model.safetensors").version.ref
        damage(own_server, tensors["layers.02.weight"].tobytes())
        with pytest.raises(wb.DataLoss, match=f"{ref}: file 'model.safetensors', chunk 3: ") as loss:
            client.load(ref)
        assert (loss.value.details["path"], loss.value.details["chunk"]) == ("model.safetensors", "3")
        same(client.load(ref, tensors=["layers.00.*"]), {"layers.00.weight": tensors["layers.00.weight"]})
        monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
        damage(own_server, content[: -4 * CHUNK_BYTES])
        with pytest.raises(wb.DataLoss, match=f"{ref}: file 'model.safetensors', chunk 0: "):
            client.load(ref, tensors=["layers.00.*"])


SMALL = {"w": numpy.arange(2000, dtype="<i4")}


@pytest.fixture
def honest() -> Content:
    """What the server holds: one file, cut every 1000 bytes."""
    return Content.of({"w.npy": npy_of(SMALL["w"])}, cut_bytes=1000)


@pytest.mark.parametrize("number", [0, 5])
def test_another_chunk_than_was_asked_for_never_gets_into_an_array(
    hostile: HostileServer, sdk: wb.Client, honest: Content, number: int
) -> None:
    wrong = honest.files[0].chunks[number].digest
    hostile.download = lambda request, context: (
        chunk_answer(honest.chunks[digest], **({"payload": bytes(1000), "codec": 1} if digest == wrong else {}))
        for digest in request.digests
    )
    with pytest.raises(wb.DataLoss, match=rf"a.b.c:1: file 'w.npy', chunk {number}: ") as loss:
        sdk.load(REF)
    assert (loss.value.details["path"], loss.value.details["chunk"]) == ("w.npy", str(number))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_stream_that_fails_is_taken_up_again(
    hostile: HostileServer, sdk: wb.Client, honest: Content, code: Any
) -> None:
    sdk.resolve(REF)  # the server is known to be there
    honestly, failed = hostile.download, threading.Event()

    def fails_once(request: Any, context: grpc.ServicerContext) -> Any:
        if len(request.digests) > 1 and not failed.is_set():
            failed.set()
            yield chunk_answer(honest.chunks[request.digests[0]])
            context.abort(code, "not now")
        yield from honestly(request, context)

    hostile.download = fails_once
    same(sdk.load(REF), SMALL)
    assert failed.is_set()
