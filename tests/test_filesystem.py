"""fsspec opens versions by URL: what it lists and reads is what was pushed, what fails is an OSError that says why."""

from __future__ import annotations

import errno
import io
import pickle
import random
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import fsspec
import numpy
import pytest
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from hostile_server import REF, Content, HostileServer, chunk_answer
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.filesystem import WeighbridgeFileSystem

pytest_plugins = ["hostile_fixtures"]

WEIGHTS = random.Random(1).randbytes(2 * CHUNK_BYTES + 1000)
FILES = {
    "config.json": b'{"layers": 2}',
    "eval/scores.csv": b"name,score\na,1\nb,2\n",
    "eval/2026/may.csv": b"name,score\nc,3\n",
    "weights.bin": WEIGHTS,
    "empty": b"",
}


@pytest.fixture(autouse=True)
def forget_instances() -> Iterator[None]:
    """Their connections would outlive the servers of tests."""
    yield
    WeighbridgeFileSystem.clear_instance_cache()


@pytest.fixture
def pushed(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> str:
    """The reference of a version that has ``FILES``."""
    model = new_model()
    for path, content in FILES.items():
        place = tmp_path / model / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return client.push(model, tmp_path / model).version.ref


@pytest.fixture
def fs(server: RunningServer) -> Any:
    """The file system on the shared server."""
    return fsspec.filesystem("weighbridge", server=server.address)


def test_it_is_found_by_its_entry_point() -> None:
    (found,) = entry_points(group="fsspec.specs", name="weighbridge")
    assert found.load() is WeighbridgeFileSystem
    assert fsspec.get_filesystem_class("weighbridge") is WeighbridgeFileSystem


# What is there


def test_a_version_is_a_folder(fs: Any, pushed: str) -> None:
    assert sorted(fs.ls(pushed, detail=False)) == [
        f"{pushed}/{name}" for name in ("config.json", "empty", "eval", "weights.bin")
    ]
    assert fs.find(f"weighbridge://{pushed}") == sorted(f"{pushed}/{path}" for path in FILES)
    assert [(folder, sorted(folders), sorted(files)) for folder, folders, files in fs.walk(f"{pushed}/eval")] == [
        (f"{pushed}/eval", ["2026"], ["scores.csv"]),
        (f"{pushed}/eval/2026", [], ["may.csv"]),
    ]
    assert fs.glob(f"weighbridge://{pushed}/**/*.csv") == [f"{pushed}/eval/2026/may.csv", f"{pushed}/eval/scores.csv"]
    assert fs.du(pushed) == sum(map(len, FILES.values()))
    assert fs.ls(f"{pushed}/empty", detail=False) == [f"{pushed}/empty"]


def test_models_are_the_folders_of_nothing(fs: Any, pushed: str) -> None:
    model = pushed.partition(":")[0]
    assert {"name": model, "size": 0, "type": "directory"} in fs.ls("weighbridge://")
    assert fs.glob(f"weighbridge://{model[:-1]}[{model[-1]}]/conf*.json") == [f"{model}/config.json"]


def test_a_file_says_how_long_it_is_and_which(fs: Any, pushed: str) -> None:
    info = fs.info(f"weighbridge://{pushed}/weights.bin")
    assert info == {"name": f"{pushed}/weights.bin", "size": len(WEIGHTS), "type": "file", "root": info["root"]}
    assert info["root"].startswith("b3:")
    assert fs.ukey(f"{pushed}/weights.bin") != fs.ukey(f"{pushed}/config.json")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "directory"), ("/eval", "directory"), ("/eval/2026/", "directory"), ("/empty", "file"), ("/eval/2", None)],
)
def test_what_is_there_is_told_from_what_is_not(fs: Any, pushed: str, path: str, kind: str | None) -> None:
    url = f"weighbridge://{pushed}{path}"
    assert (fs.exists(url), fs.isfile(url), fs.isdir(url)) == (kind is not None, kind == "file", kind == "directory")


# Reading


def test_files_are_read_whole_and_in_parts(fs: Any, pushed: str) -> None:
    for path, content in FILES.items():
        assert fs.cat_file(f"{pushed}/{path}") == content
    at = CHUNK_BYTES - 10
    assert fs.cat_file(f"{pushed}/weights.bin", at, at + 30) == WEIGHTS[at : at + 30]
    assert fs.cat_file(f"{pushed}/weights.bin", -5) == WEIGHTS[-5:]
    assert fs.cat_ranges([f"{pushed}/weights.bin"] * 2, [0, at], [7, at + 3]) == [WEIGHTS[:7], WEIGHTS[at : at + 3]]
    assert fs.cat(f"{pushed}/eval/*.csv") == {f"{pushed}/eval/scores.csv": FILES["eval/scores.csv"]}
    assert (fs.head(f"{pushed}/weights.bin", 9), fs.tail(f"{pushed}/weights.bin", 9)) == (WEIGHTS[:9], WEIGHTS[-9:])


def test_the_url_alone_opens_a_file(server: RunningServer, pushed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_SERVER", server.address)
    for ref in (pushed, pushed.partition(":")[0]):
        with fsspec.open(f"weighbridge://{ref}/eval/scores.csv", "r") as text:
            assert list(text) == ["name,score\n", "a,1\n", "b,2\n"]
        with fsspec.open(f"weighbridge://{ref}/weights.bin") as file:
            assert isinstance(file, wb.FileReader)
            assert (file.ref, file.size) == (pushed, len(WEIGHTS))
            assert file.read() == WEIGHTS
    with fsspec.open(f"simplecache::weighbridge://{pushed}/config.json") as file:
        assert file.read() == FILES["config.json"]


def test_arrays_and_tensors_are_read_from_urls(
    server: RunningServer, client: wb.Client, new_model: Callable[[], str], tmp_path: Path
) -> None:
    arrays = {"w": numpy.arange(700_000, dtype="<f4")}
    numpy.save(tmp_path / "w.npy", arrays["w"])
    (tmp_path / "model.safetensors").write_bytes(save_safetensors(arrays))
    ref = client.push(new_model(), tmp_path / "w.npy", tmp_path / "model.safetensors").version.ref
    with fsspec.open(f"weighbridge://{ref}/w.npy", server=server.address) as file:
        assert (numpy.load(file) == arrays["w"]).all()
    with fsspec.open(f"weighbridge://{ref}/model.safetensors", server=server.address) as file:
        assert (load_safetensors(file.read())["w"] == arrays["w"]).all()


def test_compressed_text_is_read(fs: Any, client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> None:
    with fsspec.open(str(tmp_path / "log.txt.gz"), "wt", compression="infer") as made:
        made.write("first\nsecond\n")
    ref = client.push(new_model(), tmp_path / "log.txt.gz").version.ref
    with fs.open(f"{ref}/log.txt.gz", "rt", compression="infer") as text:
        assert text.read() == "first\nsecond\n"


def test_a_newer_version_is_seen_by_the_next_call_and_not_by_an_open_file(
    fs: Any, client: wb.Client, pushed: str, tmp_path: Path
) -> None:
    model = pushed.partition(":")[0]
    file = fs.open(f"{model}/weights.bin")
    (tmp_path / "weights.bin").write_bytes(b"newer")
    client.push(model, tmp_path / "weights.bin")
    assert fs.cat(f"{model}/weights.bin") == b"newer"
    assert fs.find(model) == [f"{model}/weights.bin"]
    assert (file.ref, file.read()) == (pushed, WEIGHTS)


def test_it_goes_to_other_processes(fs: Any, pushed: str) -> None:
    assert pickle.loads(pickle.dumps(fs)).cat(f"{pushed}/config.json") == FILES["config.json"]


# Copying


def test_files_are_copied_whole(fs: Any, pushed: str, tmp_path: Path) -> None:
    fs.get(pushed, str(tmp_path / "out"), recursive=True)
    found = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {path: place.read_bytes() for path, place in found.items()} == FILES
    kept = io.BytesIO()
    fs.get_file(f"{pushed}/weights.bin", kept)
    assert kept.getvalue() == WEIGHTS


def test_a_copy_that_fails_leaves_what_was_there(
    hostile: HostileServer, honest: Content, lying: Any, tmp_path: Path
) -> None:
    place = tmp_path / "out" / "weights.bin"
    place.parent.mkdir()
    place.write_bytes(b"older")
    with pytest.raises(OSError, match=r"file 'deep/weights.bin', chunk 1: "):
        lying.get_file(f"{REF}/deep/weights.bin", str(place))
    assert [path.read_bytes() for path in place.parent.iterdir()] == [b"older"]
    with pytest.raises(OSError, match="cannot be written"):
        lying.get_file(f"{REF}/config.json", "/proc/self/absent")


# What fails


@pytest.fixture
def lying(hostile: HostileServer, honest: Content) -> Any:
    """The file system on a server that has lost the second chunk of ``deep/weights.bin``."""
    wrong = honest.files[1].chunks[1].digest
    hostile.download = lambda request, context: (
        chunk_answer(honest.chunks[digest], **({"payload": bytes(1000), "codec": 1} if digest == wrong else {}))
        for digest in request.digests
    )
    return fsspec.filesystem("weighbridge", server=hostile.address)


@pytest.mark.parametrize(
    ("path", "cls", "said"),
    [
        ("{ref}/eval/score.csv", FileNotFoundError, "no file 'eval/score.csv'; close to it are 'eval/scores.csv'"),
        ("{ref}9/config.json", FileNotFoundError, "there is no .*; the newest is "),
        ("a.b.absent/config.json", FileNotFoundError, "there is no model a.b.absent"),
        ("{ref}/eval", IsADirectoryError, "it is a folder"),
        ("nothing/config.json", OSError, "'nothing' is not a model name"),
        ("a.b.c:x/config.json", OSError, "'x' in 'a.b.c:x' is not a version number"),
    ],
)
def test_what_is_not_there_says_so(fs: Any, pushed: str, path: str, cls: type[OSError], said: str) -> None:
    with pytest.raises(cls, match=said) as fault:
        fs.open(path.format(ref=pushed))
    assert type(fault.value) is cls
    assert fault.value.filename == path.format(ref=pushed)


def test_lost_bytes_are_an_os_error_that_names_the_chunk(lying: Any) -> None:
    with lying.open(f"{REF}/deep/weights.bin") as file:
        with pytest.raises(OSError, match=r"a.b.c:1: file 'deep/weights.bin', chunk 1: ") as fault:
            file.read()
        assert fault.value.errno == errno.EIO
        assert isinstance(fault.value.__cause__, wb.DataLoss)


def test_a_server_that_does_not_answer_is_no_empty_folder() -> None:
    away = fsspec.filesystem("weighbridge", server="127.0.0.1:1")
    for ask in (away.exists, away.isdir, away.isfile, away.ls, away.find, away.glob, away.open):
        with pytest.raises(ConnectionError, match=r"no Weighbridge server answers at 127.0.0.1:1 "):
            ask("weighbridge://a.b.c/config.json")
    with pytest.raises(ConnectionError):
        away.glob("weighbridge://a.b.c/*.json")
    with pytest.raises(wb.UsageError, match="'nowhere' is not HOST:PORT"):
        fsspec.filesystem("weighbridge", server="nowhere")


def test_nothing_is_written(fs: Any, pushed: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    file, new = f"weighbridge://{pushed}/config.json", f"weighbridge://{pushed}/new"
    writes: list[Callable[[], object]] = [
        *(lambda mode=mode: fs.open(new, mode) for mode in ("wb", "ab", "xb", "r+b", "w")),
        *(lambda call=call: call(new) for call in (fs.mkdir, fs.makedirs, fs.touch, fs.rmdir)),
        *(lambda call=call: call(file) for call in (fs.rm, fs.rm_file, fs.delete)),
        *(lambda call=call: call(file, new) for call in (fs.cp, fs.mv, fs.rename)),
        lambda: fs.put(str(tmp_path / "x"), new),
        lambda: fs.pipe(new, b"1"),
        lambda: fs.write_text(new, "1"),
        lambda: fs.rm(f"weighbridge://{pushed}", recursive=True),
    ]
    for write in writes:
        with pytest.raises(OSError, match="a version never changes: push a new one") as refused:
            write()
        assert refused.value.errno == errno.EROFS
    assert fs.find(pushed) == sorted(f"{pushed}/{path}" for path in FILES)
