"""Files that lie about their tensors are refused by name, and lead nowhere else."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

import numpy
import pytest
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from tensor_files import gguf_file, npy_file, safetensors_file
from test_chunking_formats import VOCABULARY, Memory, gguf_of, npy_of, npz_of, torch_of
from weighbridge.core.chunking.tensors import NotThisFormat
from weighbridge.tensors import open_tensors
from weighbridge.tensors.numpy_arrays import Numpy

pytest_plugins = ["load_fixtures"]


def npz_with(change: Callable[[bytearray, int], None]) -> bytes:
    """An archive after ``change``, which is given where the directory begins."""
    content = bytearray(npz_of({"a": numpy.arange(6.0), "b": numpy.ones(2)}))
    change(content, struct.unpack_from("<I", content, len(content) - 6)[0])
    return bytes(content)


def header_beyond(content: bytearray, directory: int) -> None:
    """The first entry's header is said to be far away."""
    struct.pack_into("<I", content, directory + 42, 0x7FFFFFFF)


def name_elsewhere(content: bytearray, directory: int) -> None:
    """The header in front of an entry has another name."""
    content[30] ^= 1


def same_header(content: bytearray, directory: int) -> None:
    """Both entries are the same bytes."""
    entry = 46 + len("a.npy") + struct.unpack_from("<H", content, directory + 30)[0]
    struct.pack_into("<I", content, directory + entry + 42, 0)


def shape_of(shape: str, descr: str = "'<f8'", data: int = 48, order: str = "False") -> bytes:
    """An array's file that says so of itself."""
    return npy_file(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n", bytes(data))


RAW = bytes(4096)

LIES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.safetensors", b"", "first bytes"),
    "a pointer": ("a.safetensors", b"version https://git-lfs.github.com/spec/v1", "first bytes"),
    "an offset outside": (
        "a.safetensors",
        safetensors_file(("w", "F32", [1024], RAW)).replace(b"4096]", b"9999]"),
        "outside the file",
    ),
    "a header past the end": ("a.safetensors", struct.pack("<Q", 1 << 20) + b"{}" * 9, "the header is too long"),
    "an overlap": (
        "a.safetensors",
        safetensors_file(("v", "F32", [1024], RAW), ("w", "F32", [1024], RAW)).replace(
            b"[4096, 8192]", b"[2048, 6144]"
        ),
        "overlap",
    ),
    "a shape too large": ("a.safetensors", safetensors_file(("w", "F32", [1025], RAW)), r"4096 bytes, .*\[1025\]"),
    "a shape too small": ("a.safetensors", safetensors_file(("w", "F32", [1023], RAW)), r"4096 bytes, .*\[1023\]"),
    "a shape of 10^68": ("a.safetensors", safetensors_file(("w", "F32", [10**17] * 4, RAW)), "4096 bytes"),
    "an unknown type": ("a.safetensors", safetensors_file(("w", "F4", [8192], RAW)), "type 'F4', which cannot be"),
    "no shape that arrays have": (
        "a.safetensors",
        safetensors_file(("w", "F32", [0, 10**17, 10**17], b"")),
        "cannot be an array",
    ),
    "gguf cut off": ("a.gguf", gguf_file(("w", 0, [1024], RAW))[:-100], "'w' takes 4096 bytes and has 3996"),
    "gguf of another version": ("a.gguf", b"GGUF\1" + bytes(60), "the version is unknown"),
    "a gguf shape too large": ("a.gguf", gguf_file(("w", 0, [1025], RAW)), "takes 4100 bytes and has 4096"),
    "a gguf shape of 2^504": ("a.gguf", gguf_file(("w", 0, [2**63] * 8, RAW)), "and has 4096"),
    "gguf rows of half blocks": ("a.gguf", gguf_file(("w", 8, [48, 2], RAW)), "whole blocks"),
    "a gguf name that is no text": ("a.gguf", gguf_file((b"\xff", 0, [1024], RAW)), "not UTF-8"),
    "an entry beyond": ("a.npz", npz_with(header_beyond), "lies in the directory"),
    "an entry with two names": ("a.npz", npz_with(name_elsewhere), "two names"),
    "two entries of the same bytes": ("a.npz", npz_with(same_header), "overlap|directory says"),
    "an archive of no arrays": ("a.npz", torch_of({"x": b"1"}).replace(b"data.pkl", b"data.pkX"), "without an array"),
    "a checkpoint called npz": ("a.npz", torch_of({"x": b"1"}), "pickled PyTorch checkpoint"),
    "an npy shape too large": ("a.npy", shape_of("(7,)"), "48 bytes"),
    "an npy shape of 10^36": ("a.npy", shape_of("(999999999999999999, 999999999999999999)"), "48 bytes"),
    "an npy shape that is code": ("a.npy", shape_of("__import__('os')"), "not one of a plain array"),
    "an npy type that is code": ("a.npy", shape_of("(6,)", "__import__('os')"), "not one of a plain array"),
    "an npy record": ("a.npy", shape_of("(6,)", "[('x', '<f8')]"), "not one of a plain array"),
    "npy objects": ("a.npy", shape_of("(6,)", "'|O'"), "pickled objects, which are never loaded"),
    "npy objects, as numpy writes them": ("a.npy", npy_of(numpy.array([{}, None])), "pickled objects"),
    "an npy type of none": ("a.npy", shape_of("(6,)", "'<f7'", 42), "numpy does not know"),
    "an npy type of several": ("a.npy", shape_of("(6,)", "'<f4,<f4'"), "cannot be loaded"),
    "an npy order that is none": ("a.npy", shape_of("(6,)", order="(1,)"), "the array's header is broken"),
    "npy without an end": ("a.npy", npy_file("{" * 4000, RAW), "the array's header is broken"),
    "npy with a long header": ("a.npy", npy_file(" " * 70_000, RAW, 2), "too long"),
    "npy of a later version": ("a.npy", npy_file("{}", RAW, 9), "unknown version"),
}


@pytest.fixture(scope="module")
def lies(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version with all of these files, each in a folder of its own."""
    root = tmp_path_factory.mktemp("lies")
    for number, (path, content, _) in enumerate(LIES.values()):
        (root / str(number)).mkdir()
        (root / str(number) / path).write_bytes(content)
    with server.connect() as client:
        return client.push("test.load.lies", root).version.ref


@pytest.mark.parametrize("name", LIES)
def test_files_that_lie_are_refused_by_name(client: wb.Client, lies: str, name: str) -> None:
    path, _, said = LIES[name]
    path = f"{list(LIES).index(name)}/{path}"
    with pytest.raises(wb.UsageError, match=f"file '{path}' cannot be loaded: .*({said})") as refused:
        client.load(lies, include=[path])
    assert refused.value.details["path"] == path


class InMemory(Memory):
    """A file that is here already."""

    path = "w.npy"

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.size_bytes = len(content)

    def expect(self, stretches: Iterable[tuple[int, int]]) -> None:
        """See ``Source``."""
        assert all(begin < end for begin, end in stretches)


def is_refused(content: bytes) -> bool:
    """Whether a file is; one that is not has all its tensors inside."""
    source, numpy_arrays = InMemory(content), Numpy()
    try:
        file = open_tensors(source)
        for stored in file.locate(file.names):
            numpy_arrays.check(stored)
            numpy_arrays.array(numpy.empty(stored.size, "u1"), stored)
            assert stored.size >= 0
            assert not stored.size or 0 <= stored.offset <= len(content) - stored.size
    except (NotThisFormat, wb.UsageError):
        return True
    return False


MUTATED: dict[str, bytes] = {
    "safetensors": save_safetensors({"a": numpy.zeros((2, 3), "<f4"), "é": numpy.arange(4), "e": numpy.zeros(0)}),
    "gguf": gguf_of([("a", 24, b"1" * 40), ("b", 24, b"2" * 64)], [VOCABULARY[0], VOCABULARY[3]]),
    "npz": npz_of({"a": numpy.arange(9), "b": numpy.arange(3.0)}),
    "npy": npy_of(numpy.array(["2026-10-01", "2026-10-02"], "M8[D]")),
}


@pytest.mark.parametrize("name", MUTATED)
def test_every_flipped_bit_is_refused_or_leads_nowhere_else(name: str) -> None:
    content = MUTATED[name]
    assert not is_refused(content)
    refused = set()
    for at in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            refused.add(is_refused(bytes(changed)))
    assert refused == {True, False}
    for at in range(len(content)):
        is_refused(content[:at])
        is_refused(content[:at] + content[at + 1 :])
        is_refused(content[:at] + b"0" + content[at:])
