"""Of a version come the tensors that were asked for, the rows that were asked for, and no others."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from tensor_files import HEADERS_BYTES, Array, Meter, Push, gguf_file, layers, same
from test_chunking_formats import noise, npy_of, npz_of
from test_damage import flip
from weighbridge.core.limits import CHUNK_BYTES

pytest_plugins = ["load_fixtures"]


@pytest.mark.parametrize(
    "choice", [["layers.03.*"], lambda name: "03" in name, ("layers.03.weight",)], ids=["pattern", "callable", "name"]
)
def test_a_part_receives_its_own_bytes(client: wb.Client, push: Push, choice: Any) -> None:
    tensors = layers(8, 2 * CHUNK_BYTES)
    ref = push({"model.safetensors": save_safetensors(tensors)})
    meter = Meter()
    loaded = client.load(ref, tensors=choice, progress=meter)
    same(loaded, {"layers.03.weight": tensors["layers.03.weight"]})
    assert 0 <= meter.received - 2 * CHUNK_BYTES < HEADERS_BYTES
    assert meter.done == meter.total


def test_eight_ranks_receive_an_eighth_each(server: RunningServer, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    tensors = layers(16, 5 << 19) | {f"layers.{n:02}.norm": numpy.full(1000, n, "<f4") for n in range(16)}
    names = sorted(tensors)
    shards = [names[start : start + 4] for start in range(0, len(names), 4)]
    ref = push({f"{held[0]}.safetensors": save_safetensors({name: tensors[name] for name in held}) for held in shards})
    found: dict[str, Array] = {}
    for rank in range(8):
        meter = Meter()
        mine = [f"layers.{layer:02}.*" for layer in range(rank, 16, 8)]
        with server.connect() as client:
            found |= client.load(ref, tensors=mine, progress=meter)
        assert 5 << 20 <= meter.received < (5 << 20) + HEADERS_BYTES
    same(dict(sorted(found.items())), dict(sorted(tensors.items())))


def test_nothing_is_written_to_disk(client: wb.Client, push: Push, cache_dir: Path) -> None:
    tensors = layers(3, CHUNK_BYTES)
    ref = push({"model.safetensors": save_safetensors(tensors)})
    for _ in range(2):
        meter = Meter()
        same(client.load(ref, progress=meter), tensors)
        assert meter.received > 3 * CHUNK_BYTES
    assert not list(cache_dir.rglob("*"))


def test_what_a_pull_left_in_the_cache_is_not_received_again(
    client: wb.Client, push: Push, tmp_path: Path, cache_dir: Path
) -> None:
    tensors = layers(3, CHUNK_BYTES)
    ref = push({"model.safetensors": save_safetensors(tensors)})
    client.pull(ref, tmp_path / "out")
    first, second = Meter(), Meter()
    same(client.load(ref, progress=first), tensors)
    assert first.received == 0
    for chunk in (path for path in cache_dir.rglob("*") if path.stat().st_size > CHUNK_BYTES):
        flip(chunk, 1000)
    same(client.load(ref, progress=second), tensors)
    assert second.received == 3 * CHUNK_BYTES
    assert second.done == second.total


def test_memory_is_the_tensors_and_a_few_chunks(client: wb.Client, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    size = 48 * CHUNK_BYTES
    ref = push({"model.npy": npy_of(numpy.arange(size // 4, dtype="<u4"))})
    client.load(push({"small.npy": npy_of(numpy.arange(1024, dtype="<u4"))}))  # imports
    tracemalloc.start()
    try:
        loaded = client.load(ref)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded["model"].nbytes == size
    assert peak < size + 16 * CHUNK_BYTES


def test_a_chunk_in_many_places_fills_all_of_them(client: wb.Client, push: Push) -> None:
    tensors = {f"zeros.{n}": numpy.zeros(CHUNK_BYTES, "<f4") for n in range(3)}
    meter = Meter()
    ref = push({"a.safetensors": save_safetensors(tensors), "b.npy": npy_of(numpy.zeros(3 * CHUNK_BYTES, "u1"))})
    same(client.load(ref, progress=meter), {**tensors, "b": numpy.zeros(3 * CHUNK_BYTES, "u1")})
    assert meter.received < HEADERS_BYTES


# Rows


ROW_BYTES = 4096


@pytest.mark.parametrize(
    ("begin", "end", "chunks"),
    [(0, 512, 1), (512, 1024, 1), (511, 513, 2), (0, 2000, 4), (1999, 2000, 1), (700, 700, 0), (0, 0, 0)],
)
def test_rows_are_those_of_the_whole_and_no_others_come(
    client: wb.Client, push: Push, begin: int, end: int, chunks: int
) -> None:
    whole = numpy.frombuffer(noise(2000 * ROW_BYTES, 5), "<f4").reshape(2000, 16, 64)
    beside = numpy.arange(6, dtype="<i4").reshape(3, 2)
    meter = Meter()
    ref = push({"model.safetensors": save_safetensors({"beside": beside, "embedding": whole})})
    loaded = client.load(ref, rows={"embedding": (begin, end)}, progress=meter)
    same({name: loaded[name] for name in sorted(loaded)}, {"beside": beside, "embedding": whole[begin:end]})
    assert meter.received <= chunks * CHUNK_BYTES + HEADERS_BYTES


@pytest.mark.parametrize("suffix", ["npy", "npz", "gguf"])
def test_rows_of_every_format(client: wb.Client, push: Push, suffix: str) -> None:
    whole = numpy.arange(600, dtype="<f4").reshape(20, 30)
    content = {
        "npy": lambda: npy_of(whole),
        "npz": lambda: npz_of({"w": whole}),
        "gguf": lambda: gguf_file(("w", 0, [30, 20], whole.tobytes())),
    }[suffix]()
    same(client.load(push({f"w.{suffix}": content}), rows={"w": (3, 7)}), {"w": whole[3:7]})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"w": (0, 5)}, "tensor 'w' has rows 0 to 4; 0 to 5 are not among them"),
        ({"w": (-1, 2)}, "-1 to 2"),
        ({"w": (3, 2)}, "3 to 2"),
        ({"w": 3}, "are a begin and an end, such as"),
        ({"w": (0.0, 1.0)}, "are a begin and an end, such as"),
        ({"w": (0, 1, 2)}, "are a begin and an end, such as"),
        ({"scalar": (0, 1)}, "is a single number"),
        ({"fortran": (0, 1)}, "is stored column by column"),
        ({"ww": (0, 1)}, "rows= names tensor 'ww', which .* has not; close to it are 'w'"),
    ],
)
def test_rows_that_are_not_there(client: wb.Client, push: Push, rows: Any, said: str) -> None:
    arrays = {
        "w": numpy.zeros((4, 4)),
        "scalar": numpy.array(1.0),
        "fortran": numpy.asfortranarray(numpy.zeros((2, 3))),
    }
    with pytest.raises(wb.UsageError, match=said):
        client.load(push({"a.npz": npz_of(arrays)}), rows=rows)


def test_rows_of_what_is_not_taken(client: wb.Client, push: Push) -> None:
    ref = push({"a.npz": npz_of({"w": numpy.zeros(4), "v": numpy.zeros(4)})})
    with pytest.raises(wb.UsageError, match="rows= names tensor 'w', which tensors= does not take"):
        client.load(ref, tensors=["v"], rows={"w": (0, 1)})
