"""A pull over what is there: right files stay as they are, right chunks are taken over, and nothing is believed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

import weighbridge as wb
from conftest import RunCli
from pull_results import Sums, contents, folder_of
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.paths import PARTIAL_PREFIX

NewModel = Callable[[], str]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in the folder is received."""
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")


@pytest.fixture
def files() -> dict[str, bytes]:
    """Seven chunks in four files."""
    return {
        "weights.bin": os.urandom(4 * CHUNK_BYTES + 1),
        "config.json": b'{"layers": 2}',
        "deep/down/optimizer.bin": os.urandom(1000),
        "empty": b"",
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where it is pulled to."""
    return tmp_path / "out"


@pytest.fixture
def ref(client: wb.Client, new_model: NewModel, files: dict[str, bytes], tmp_path: Path, out: Path) -> str:
    """A version that was pulled."""
    ref = client.push(new_model(), folder_of(tmp_path / "source", files)).version.ref
    assert client.pull_with_counts(ref, out).chunks_received == 7
    return ref


def pushed(client: wb.Client, ref: str, tmp_path: Path, files: dict[str, bytes]) -> str:
    """A next version, of these files."""
    source = tmp_path / "next"
    shutil.rmtree(source, ignore_errors=True)
    return client.push(ref.partition(":")[0], folder_of(source, files)).version.ref


def changed(raw: bytes, at: int) -> bytes:
    """The same with one byte changed."""
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def identities(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """What tells whether a file was written or replaced."""
    return {
        str(path.relative_to(folder)): (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)
        for path in folder.rglob("*")
        if path.is_file()
        for status in [path.stat()]
    }


# -- files that are right already --------------------------------------------------------------------


def test_the_same_version_again_receives_nothing_and_writes_nothing(
    client: wb.Client, run_cli: RunCli, ref: str, out: Path
) -> None:
    before = identities(out)
    progress = Sums()
    pulled = client.pull_with_counts(ref, out, progress=progress)
    assert (pulled.chunks_received, pulled.bytes_received, pulled.chunks_total) == (0, 0, 7)
    assert progress.raw_bytes == progress.bytes_total == pulled.bytes_total
    assert run_cli("pull", ref, out, "--json").json["chunks_received"] == 0
    assert identities(out) == before


def test_only_files_that_are_not_right_are_replaced(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path
) -> None:
    before = identities(out)
    (out / "config.json").write_bytes(b"overwritten")
    (out / "deep" / "down" / "optimizer.bin").unlink()
    assert client.pull_with_counts(ref, out).chunks_received == 2
    assert contents(out) == files
    after = identities(out)
    assert {path for path in files if after[path] == before[path]} == {"weights.bin", "empty"}
    assert client.verify(out).ok


def test_what_the_version_does_not_have_is_left_alone(client: wb.Client, ref: str, out: Path) -> None:
    folder_of(out, {"mine.txt": b"mine", "deep/notes": b"mine too"})
    before = identities(out)
    client.pull(ref, out)
    assert identities(out) == before
    assert not list(out.glob(f"{PARTIAL_PREFIX}*"))


@pytest.mark.parametrize("folder", ["copied", "by hand"])
def test_a_folder_that_was_never_pulled_counts_as_much(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path, folder: str
) -> None:
    place = tmp_path / folder
    if folder == "copied":
        shutil.copytree(out, place)
    else:
        folder_of(place, files)
    before = identities(place)
    assert client.pull_with_counts(ref, place).chunks_received == 0
    assert identities(place) == before
    assert client.verify(place).ref == ref


# -- files that are older ----------------------------------------------------------------------------


@pytest.mark.parametrize("receipt", [True, False])
def test_over_an_older_version_only_the_changed_chunks_are_received(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path, receipt: bool
) -> None:
    newer = {**files, "weights.bin": changed(files["weights.bin"], 2 * CHUNK_BYTES + 5), "config.json": b"{}"}
    following = pushed(client, ref, tmp_path, newer)
    place = out if receipt else Path(shutil.copytree(out, tmp_path / "copied"))
    progress = Sums()
    pulled = client.pull_with_counts(following, place, progress=progress)
    assert (pulled.chunks_received, pulled.bytes_received) == (2, CHUNK_BYTES + 2)
    assert progress.raw_bytes == progress.bytes_total == pulled.bytes_total
    assert progress.moved_bytes == pulled.bytes_received
    assert contents(place) == newer
    assert client.verify(place).ref == following
    assert client.pull_with_counts(ref, place).chunks_received == 2, "back again, the same chunks"
    assert contents(place) == files


def test_a_file_that_grew_or_shrank_keeps_its_chunks(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    grown = {"weights.bin": files["weights.bin"][:-1] + os.urandom(CHUNK_BYTES + 3)}
    assert client.pull_with_counts(pushed(client, ref, tmp_path, grown), out).chunks_received == 2
    shrunk = {"weights.bin": grown["weights.bin"][: 2 * CHUNK_BYTES]}
    assert client.pull_with_counts(pushed(client, ref, tmp_path, shrunk), out).chunks_received == 0
    assert (out / "weights.bin").read_bytes() == shrunk["weights.bin"]


def test_tensors_behind_a_longer_header_are_found_through_the_receipt(
    client: wb.Client, new_model: NewModel, out: Path, tmp_path: Path
) -> None:
    generator = numpy.random.default_rng(3)
    tensors = {name: generator.normal(size=700_000).astype("float32") for name in ("a", "b", "c")}
    model, source = new_model(), tmp_path / "model.safetensors"
    save_file(tensors, source)
    before = source.read_bytes()
    client.push(model, source)
    save_file(tensors, source, metadata={"trained": "longer" * 100})
    assert source.stat().st_size > len(before)
    client.push(model, source)
    total = client.pull_with_counts(f"{model}:1", out).chunks_received
    copied = Path(shutil.copytree(out, tmp_path / "copied"))
    assert client.pull_with_counts(f"{model}:2", out).chunks_received == 1, "the header"
    assert (out / "model.safetensors").read_bytes() == source.read_bytes()
    # Where no receipt says what was there, only the same place is looked at.
    assert client.pull_with_counts(f"{model}:2", copied).chunks_received == total
    assert (copied / "model.safetensors").read_bytes() == source.read_bytes()


def test_a_file_of_another_name_is_taken_over(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    """The renamed file, one that two new ones have, and one whose halves changed places."""
    raw = files["weights.bin"]
    newer = {
        "renamed/weights.bin": raw,
        "one.json": files["config.json"],
        "two.json": files["config.json"],
        "turned.bin": raw[2 * CHUNK_BYTES : 4 * CHUNK_BYTES] + raw[: 2 * CHUNK_BYTES],
    }
    pulled = client.pull_with_counts(pushed(client, ref, tmp_path, newer), out)
    assert (pulled.chunks_received, pulled.chunks_total) == (0, 11)
    assert contents(out) == {**files, **newer}


def test_names_that_changed_places_are_right_on_both_sides(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    newer = {"weights.bin": files["config.json"], "config.json": files["weights.bin"]}
    assert client.pull_with_counts(pushed(client, ref, tmp_path, newer), out).chunks_received == 0
    assert {name: raw for name, raw in contents(out).items() if name in newer} == newer


# -- what is not believed ----------------------------------------------------------------------------


def test_a_change_that_left_size_and_time_alone_is_noticed(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path
) -> None:
    weights = out / "weights.bin"
    before = weights.stat()
    weights.write_bytes(changed(files["weights.bin"], 3 * CHUNK_BYTES))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert client.pull_with_counts(ref, out).chunks_received == 1
    assert contents(out) == files


def test_other_content_of_the_same_size_is_received_whole(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path
) -> None:
    (out / "weights.bin").write_bytes(os.urandom(len(files["weights.bin"])))
    assert client.pull_with_counts(ref, out).chunks_received == 5
    assert contents(out) == files


def test_a_file_that_was_changed_is_no_source_for_the_next_version(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    (out / "weights.bin").write_bytes(os.urandom(len(files["weights.bin"])))
    following = pushed(client, ref, tmp_path, {"renamed.bin": files["weights.bin"]})
    assert client.pull_with_counts(following, out).chunks_received == 5
    assert (out / "renamed.bin").read_bytes() == files["weights.bin"]


def test_a_file_cut_short_gives_what_it_has(client: wb.Client, ref: str, files: dict[str, bytes], out: Path) -> None:
    os.truncate(out / "weights.bin", 3 * CHUNK_BYTES - 1)
    assert client.pull_with_counts(ref, out).chunks_received == 3
    assert contents(out) == files


@pytest.mark.parametrize("holds", ["the right bytes", "other bytes"])
def test_a_link_in_place_of_a_file_is_replaced_and_never_written_through(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path, holds: str
) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(files["weights.bin"] if holds == "the right bytes" else b"other bytes")
    (out / "weights.bin").unlink()
    (out / "weights.bin").symlink_to(outside)
    before = outside.read_bytes(), outside.stat()
    client.pull(ref, out)
    assert not (out / "weights.bin").is_symlink()
    assert contents(out) == files
    after = outside.read_bytes(), outside.stat()
    assert after[0] == before[0]
    assert (after[1].st_ino, after[1].st_mtime_ns) == (before[1].st_ino, before[1].st_mtime_ns)


def test_right_files_behind_a_link_do_not_count_as_those_of_the_folder(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    (out / "deep").rename(tmp_path / "outside")
    (out / "deep").symlink_to(tmp_path / "outside")
    before = identities(tmp_path / "outside")
    with pytest.raises(wb.DestinationUnwritable, match="deep cannot be written: it is a link"):
        client.pull(ref, out)
    assert identities(tmp_path / "outside") == before


def test_the_folder_itself_may_be_behind_a_link(client: wb.Client, ref: str, out: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(out)
    before = identities(out)
    assert client.pull_with_counts(ref, tmp_path / "linked").chunks_received == 0
    assert identities(out) == before


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_is_neither_waited_for_nor_kept(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, kind: str
) -> None:
    (out / "config.json").unlink()
    if kind == "pipe":
        os.mkfifo(out / "config.json")
    else:
        os.mknod(out / "config.json", 0o140600)
    assert client.pull_with_counts(ref, out).chunks_received == 1
    assert contents(out) == files


def test_the_other_name_of_a_hard_link_keeps_its_bytes(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / "saved" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(out / name, tmp_path / "saved" / name)
    newer = {**files, "weights.bin": changed(files["weights.bin"], 0)}
    following = pushed(client, ref, tmp_path, newer)
    assert client.pull_with_counts(following, out).chunks_received == 1
    assert contents(out) == newer
    assert contents(tmp_path / "saved") == files
    assert (out / "config.json").samefile(tmp_path / "saved" / "config.json"), "it was right, and so left"


def test_a_pull_that_is_refused_leaves_the_older_files(
    client: wb.Client, ref: str, files: dict[str, bytes], out: Path, tmp_path: Path
) -> None:
    newer = {**files, "weights.bin": changed(files["weights.bin"], 0), "config.json/inside": b"a folder is needed"}
    del newer["config.json"]
    before = identities(out)
    with pytest.raises(wb.DestinationUnwritable, match=r"config\.json cannot be written: it is a file"):
        client.pull(pushed(client, ref, tmp_path, newer), out)
    assert identities(out) == before
    assert client.verify(out).ref == ref
