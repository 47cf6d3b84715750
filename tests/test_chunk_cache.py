"""The cache of chunks: what was pulled once does not come again, and nothing that happens to it fails a pull."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import WEIGHBRIDGE, RunCli, RunningServer
from hostile_pulls import stopping_after
from hostile_server import REF, Content, HostileServer
from pull_results import UNFINISHED, cached, cached_bytes, contents, folder_of, noise_files
from raw_client import wait_until
from weighbridge.cache import ChunkCache
from weighbridge.core.codec import open_chunk
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.local_state import DEFAULT_CACHE_LIMIT_BYTES, cache_limit_bytes

NewModel = Callable[[], str]
KB, MB = 10**3, 10**6
LIMIT = "WEIGHBRIDGE_CACHE_LIMIT"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of ten files of one chunk each."""
    return folder_of(tmp_path / "source", noise_files(10, 30 * KB))


@pytest.fixture
def ref(client: wb.Client, new_model: NewModel, source: Path) -> str:
    """It as a version; nothing was pulled yet."""
    return client.push(new_model(), source).version.ref


# -- what comes over the wire ----------------------------------------------------------------------


def test_a_second_pull_into_another_folder_receives_nothing(
    client: wb.Client, run_cli: RunCli, ref: str, source: Path, tmp_path: Path
) -> None:
    first = client.pull_with_counts(ref, tmp_path / "first")
    second = client.pull_with_counts(ref, tmp_path / "second")
    assert (first.chunks_received, first.bytes_received) == (10, 300 * KB)
    assert (second.chunks_received, second.bytes_received) == (0, 0)
    third = run_cli("pull", ref, tmp_path / "third", "--json").json
    assert (third["chunks_received"], third["bytes_received"], third["chunks_total"]) == (0, 0, 10)
    for folder in ("first", "second", "third"):
        assert contents(tmp_path / folder) == contents(source)
        assert client.verify(tmp_path / folder).ok


def test_of_a_fine_tune_only_what_changed_is_received(
    client: wb.Client, new_model: NewModel, tmp_path: Path, cache_dir: Path
) -> None:
    model, weights = new_model(), tmp_path / "weights.bin"
    raw = bytearray(os.urandom(5 * CHUNK_BYTES))
    weights.write_bytes(raw)
    client.push(model, weights)
    raw[3 * CHUNK_BYTES] ^= 1
    weights.write_bytes(raw)
    client.push(model, weights)
    assert client.pull_with_counts(f"{model}:1", tmp_path / "base").chunks_received == 5
    tuned = client.pull_with_counts(f"{model}:2", tmp_path / "tuned")
    assert (tuned.chunks_received, tuned.bytes_received, tuned.chunks_total) == (1, CHUNK_BYTES, 5)
    assert contents(tuned.path) == {"weights.bin": bytes(raw)}
    assert len(cached(cache_dir)) == 6


def test_another_model_with_the_same_chunks_is_not_received(
    client: wb.Client, new_model: NewModel, ref: str, source: Path, tmp_path: Path
) -> None:
    client.pull(ref, tmp_path / "first")
    elsewhere = client.push(new_model(), source).version.ref
    assert client.pull_with_counts(elsewhere, tmp_path / "second").chunks_received == 0


def test_a_push_does_not_fill_the_cache(client: wb.Client, ref: str, source: Path, cache_dir: Path) -> None:
    client.push(ref.partition(":")[0], source)
    assert not (cache_dir / "chunks").exists()


def test_what_was_in_the_folder_already_is_not_cached(
    client: wb.Client, ref: str, source: Path, tmp_path: Path, cache_dir: Path
) -> None:
    folder_of(tmp_path / "out", contents(source))
    assert client.pull_with_counts(ref, tmp_path / "out").chunks_received == 0
    assert cached(cache_dir) == []


# -- the limit -------------------------------------------------------------------------------------


def test_a_limit_of_0_reads_nothing_and_writes_nothing(
    client: wb.Client, ref: str, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "0")
    for folder in ("first", "second"):
        assert client.pull_with_counts(ref, tmp_path / folder).chunks_received == 10
        assert not (cache_dir / "chunks").exists()
    monkeypatch.delenv(LIMIT)
    assert client.pull_with_counts(ref, tmp_path / "third").chunks_received == 10
    before = {path: path.stat().st_mtime_ns for path in cached(cache_dir)}
    assert len(before) == 10
    monkeypatch.setenv(LIMIT, "0")
    assert client.pull_with_counts(ref, tmp_path / "fourth").chunks_received == 10
    assert {path: path.stat().st_mtime_ns for path in cached(cache_dir)} == before


def test_many_pulls_stay_within_the_limit(
    client: wb.Client, new_model: NewModel, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "1MB")
    for number in range(8):
        source = folder_of(tmp_path / f"source-{number}", noise_files(10, 30 * KB))
        out = client.pull(client.push(new_model(), source).version.ref, tmp_path / f"out-{number}")
        assert contents(out) == contents(source)
        assert min(number + 1, 2) * 300 * KB <= cached_bytes(cache_dir) <= MB
    monkeypatch.setenv(LIMIT, "400KB")  # it is kept from the next chunk on that is added
    source = folder_of(tmp_path / "one more", noise_files(1, 30 * KB))
    client.pull(client.push(new_model(), source).version.ref, tmp_path / "out")
    assert 300 * KB <= cached_bytes(cache_dir) <= 400 * KB


def test_what_was_read_longest_ago_goes_first(
    client: wb.Client, new_model: NewModel, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "1MB")
    refs = [
        client.push(new_model(), folder_of(tmp_path / f"source-{number}", noise_files(10, 30 * KB))).version.ref
        for number in range(4)
    ]
    for age_s, number in ((2000, 0), (3000, 1), (1000, 2)):
        before = set(cached(cache_dir))
        client.pull(refs[number], tmp_path / f"out-{number}")
        for path in set(cached(cache_dir)) - before:
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_s))
    client.pull(refs[1], tmp_path / "read again")  # brought first of all, and now read last
    client.pull(refs[3], tmp_path / "out-3")  # there is no room for all four
    monkeypatch.setenv(LIMIT, "2MB")
    received = [client.pull_with_counts(ref, tmp_path / f"then {ref}").chunks_received for ref in refs]
    assert received[0] > 0
    assert received[1:] == [0, 0, 0]


def test_of_a_version_larger_than_the_limit_as_much_as_fits_stays(
    client: wb.Client, new_model: NewModel, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "1MB")
    source = folder_of(tmp_path / "source", noise_files(40, 50 * KB))
    ref = client.push(new_model(), source).version.ref
    assert client.pull_with_counts(ref, tmp_path / "first").chunks_received == 40
    kept = cached(cache_dir)
    assert 0.8 * MB <= cached_bytes(cache_dir) <= MB
    for folder in ("second", "third"):
        assert client.pull_with_counts(ref, tmp_path / folder).chunks_received == 40 - len(kept)
        assert contents(tmp_path / folder) == contents(source)
        assert cached(cache_dir) == kept, "a pull pushed out what it had read itself"


def test_a_limit_below_one_chunk_keeps_nothing(
    client: wb.Client, ref: str, source: Path, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "1")
    assert contents(client.pull(ref, tmp_path / "out")) == contents(source)
    assert cached(cache_dir) == []


def test_what_a_killed_pull_left_unfinished_goes_with_the_oldest(
    client: wb.Client, ref: str, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cache_dir / "chunks" / "ab" / f"{UNFINISHED}left"
    folder_of(left.parent, {left.name: bytes(900 * KB)})
    os.utime(left, (0, 0))
    monkeypatch.setenv(LIMIT, "1MB")
    client.pull(ref, tmp_path / "out")
    assert not left.exists()
    assert len(cached(cache_dir)) == 10


@pytest.mark.parametrize(
    ("text", "limit_bytes"),
    [
        ("0", 0),
        ("1", 1),
        ("2K", 2 * 10**3),
        ("3kb", 3 * 10**3),
        (" 4MB\n", 4 * 10**6),
        ("50GB", 50 * 10**9),
        ("1T", 10**12),
        ("7B", 7),
        ("", DEFAULT_CACHE_LIMIT_BYTES),
    ],
)
def test_a_limit_is_a_number_with_a_unit(text: str, limit_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, text)
    assert cache_limit_bytes() == limit_bytes


@pytest.mark.parametrize("text", ["lots", "-1", "1.5GB", "50 GB", "1e9", "٣GB", "9" * 16, " ", "GB", "1PB", "0x10"])
def test_what_is_no_limit_is_refused(
    client: wb.Client, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(wb.UsageError, match=f"^{LIMIT} is .* not a size such as 50GB, 500MB or 0$"):
        client.pull("not.asked.for", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_limit_is_one_line_of_the_command_line(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "lots\nof it")
    ran = run_cli("pull", "not.asked.for", tmp_path / "out")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"error: USAGE: {LIMIT} is 'lots\\nof it', which is not a size such as 50GB, 500MB or 0\n"


# -- entries that are not what they should be --------------------------------------------------------


def _flip(entry: Path, at: int) -> None:
    raw = bytearray(entry.read_bytes())
    raw[at] ^= 0x40
    entry.write_bytes(raw)


def _replace_by_folder(entry: Path) -> None:
    entry.unlink()
    folder_of(entry, {"deep/file": b"not ours"})


def _replace_by_pipe(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


def _replace_by_link(entry: Path) -> None:
    target = entry.rename(entry.parents[2] / "moved")
    entry.symlink_to(target)


def _replace_by_dangling_link(entry: Path) -> None:
    entry.unlink()
    entry.symlink_to(entry.parents[2] / "moved")


def _replace_shard(entry: Path) -> None:
    entry.unlink()
    if not list(entry.parent.iterdir()):
        entry.parent.rmdir()
        entry.parent.write_bytes(b"a file in the place of a folder")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a byte of the payload": lambda entry: _flip(entry, 1000),
    "the last byte": lambda entry: _flip(entry, -1),
    "the raw length": lambda entry: _flip(entry, 5),
    "a raw length of gigabytes": lambda entry: _flip(entry, 7),
    "an unknown codec": lambda entry: _flip(entry, 0),
    "another codec": lambda entry: entry.write_bytes(b"\x02" + entry.read_bytes()[1:]),
    "cut short": lambda entry: os.truncate(entry, 1000),
    "cut in its head": lambda entry: os.truncate(entry, 7),
    "only a head": lambda entry: os.truncate(entry, 8),
    "emptied": lambda entry: os.truncate(entry, 0),
    "longer": lambda entry: os.truncate(entry, entry.stat().st_size + 1),
    "a terabyte": lambda entry: os.truncate(entry, 2**40),
    "another chunk": lambda entry: entry.write_bytes(entry.with_name("other").read_bytes()),
    "not of this program": lambda entry: entry.write_bytes(b"\x7fELF" * 100),
    "a folder": _replace_by_folder,
    "a pipe": _replace_by_pipe,
    "a link to the right bytes": _replace_by_link,
    "a link to nothing": _replace_by_dangling_link,
    "a file in place of the folder around it": _replace_shard,
    "gone": lambda entry: entry.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_wrong_entry_is_received_instead_and_mended(
    client: wb.Client, new_model: NewModel, tmp_path: Path, cache_dir: Path, damage: str
) -> None:
    source = folder_of(tmp_path / "source", noise_files(3, 30 * KB))
    ref = client.push(new_model(), source).version.ref
    client.pull(ref, tmp_path / "first")
    other, entry, _ = cached(cache_dir)
    right = entry.read_bytes()
    if damage == "another chunk":
        entry.with_name("other").write_bytes(other.read_bytes())
    DAMAGE[damage](entry)
    second = client.pull_with_counts(ref, tmp_path / "second")
    assert second.chunks_received == 1
    assert contents(second.path) == contents(source)
    assert not entry.is_symlink()
    assert entry.read_bytes() == right
    third = client.pull_with_counts(ref, tmp_path / "third")
    assert third.chunks_received == 0
    assert contents(third.path) == contents(source)
    assert not [path for path in cached(cache_dir) if path.name.startswith(UNFINISHED)]


def test_a_cache_whose_every_entry_is_wrong_is_as_good_as_none(
    client: wb.Client, ref: str, source: Path, tmp_path: Path, cache_dir: Path
) -> None:
    client.pull(ref, tmp_path / "first")
    for entry in cached(cache_dir):
        _flip(entry, 100)
    assert client.pull_with_counts(ref, tmp_path / "second").chunks_received == 10
    assert client.pull_with_counts(ref, tmp_path / "third").chunks_received == 0
    assert contents(tmp_path / "second") == contents(tmp_path / "third") == contents(source)


# -- places that cannot be used ----------------------------------------------------------------------


@contextmanager
def mounted(at: Path, options: str) -> Iterator[Path]:
    """A file system in memory."""
    at.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this takes the right to mount")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


def _below_a_file(place: Path) -> Path:
    place.write_text("a file")
    return place / "cache"


def _with_a_file_for_a_folder(place: Path) -> Path:
    return folder_of(place, {"chunks": b"a file", "pulls": b"a file"})


def _behind_a_dangling_link(place: Path) -> Path:
    place.symlink_to(place.with_name("nowhere"))
    return place


def _behind_a_loop(place: Path) -> Path:
    place.symlink_to(place)
    return place / "cache"


def _not_to_be_written(place: Path) -> Path:
    (place / "chunks").mkdir(parents=True)
    (place / "chunks").chmod(0o500)
    place.chmod(0o500)
    return place


def _not_to_be_entered(place: Path) -> Path:
    (place / "chunks").mkdir(parents=True)
    place.chmod(0)
    return place


UNUSABLE: dict[str, Callable[[Path], Path]] = {
    "below a file": _below_a_file,
    "a file for a folder": _with_a_file_for_a_folder,
    "a link to nothing": _behind_a_dangling_link,
    "a link to itself": _behind_a_loop,
    "not to be written": _not_to_be_written,
    "not to be entered": _not_to_be_entered,
    "a name that no file may have": lambda place: place / ("x" * 300),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_place_that_cannot_be_used_fails_no_pull(
    server: RunningServer, ref: str, source: Path, tmp_path: Path, kind: str
) -> None:
    environment = {
        **os.environ,
        "WEIGHBRIDGE_SERVER": server.address,
        "WEIGHBRIDGE_CACHE_DIR": str(UNUSABLE[kind](tmp_path / "cache")),
    }
    # Root may do anything, unless it is taken from it.
    as_a_user = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    command = [*as_a_user, *WEIGHBRIDGE, "pull", ref, str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    for path in (tmp_path / "cache", tmp_path / "cache" / "chunks"):
        if kind.startswith("not to be"):
            path.chmod(0o700)  # so that whoever cleans up can
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(tmp_path / "out") == contents(source)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ("size=24k", "100KB"),  # looks as if there were room, and takes half a chunk
        ("size=200k", "1MB"),
        ("size=4k", "1MB"),  # not even a receipt
        ("nr_inodes=1", "1MB"),
        ("nr_inodes=3", "1MB"),
        ("nr_inodes=5", "1MB"),
        ("ro", "1MB"),
    ],
)
def test_a_full_disk_fails_no_pull_and_nothing_half_stays(
    client: wb.Client,
    ref: str,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    limit: str,
) -> None:
    monkeypatch.setenv(LIMIT, limit)
    with mounted(tmp_path / "disk", options) as disk:
        monkeypatch.setenv("WEIGHBRIDGE_CACHE_DIR", str(disk))
        for folder in ("first", "second"):
            pulled = client.pull_with_counts(ref, tmp_path / folder)
            assert contents(pulled.path) == contents(source)
            assert client.verify(pulled.path).ok
            for path in disk.rglob("*"):
                assert path.is_dir() or path.suffix == ".json" or path.stat().st_size == 30 * KB + 8


def test_the_last_twentieth_of_a_disk_is_left_free(
    client: wb.Client, new_model: NewModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = client.push(new_model(), folder_of(tmp_path / "source", noise_files(60, 50 * KB))).version.ref
    monkeypatch.setenv(LIMIT, "10MB")
    with mounted(tmp_path / "disk", "size=2600k") as disk:
        monkeypatch.setenv("WEIGHBRIDGE_CACHE_DIR", str(disk))
        client.pull(ref, tmp_path / "out")
        status = os.statvfs(disk)
        assert len(cached(disk)) > 10
        assert status.f_bavail >= status.f_blocks // 20


def test_a_cache_that_can_only_be_read_is_read(
    client: wb.Client, ref: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", "size=50m") as disk:
        monkeypatch.setenv("WEIGHBRIDGE_CACHE_DIR", str(disk))
        monkeypatch.setenv(LIMIT, "10MB")
        assert client.pull_with_counts(ref, tmp_path / "first").chunks_received == 10
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert client.pull_with_counts(ref, tmp_path / "second").chunks_received == 0
        assert contents(tmp_path / "second") == contents(source)


# -- several at once, and those that did not end -----------------------------------------------------


@pytest.mark.parametrize("limit", ["20GB", "600KB"])
def test_processes_that_pull_at_once_share_it_and_all_are_right(
    server: RunningServer,
    ref: str,
    source: Path,
    tmp_path: Path,
    cache_dir: Path,
    limit: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the small limit each pushes out what the others have just brought."""
    monkeypatch.setenv(LIMIT, limit)
    more = folder_of(tmp_path / "more", {**contents(source), **noise_files(30, 31 * KB)})
    with server.connect() as client:
        larger = client.push(ref.partition(":")[0], more).version.ref
    pulls = [
        subprocess.Popen(
            [*WEIGHBRIDGE, "pull", wanted, str(tmp_path / f"out-{number}"), "--server", server.address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, wanted in enumerate([ref, larger, larger])
    ]
    for number, pull in enumerate(pulls):
        _, said = pull.communicate(timeout=60)
        assert (pull.returncode, said) == (0, "")
        assert contents(tmp_path / f"out-{number}") == contents(more if number else source)
    cache = ChunkCache(cache_dir / "chunks", 10**9)
    entries = cached(cache_dir)
    assert entries
    for entry in entries:
        chunk = cache.read(bytes.fromhex(entry.parent.name + entry.name))
        assert chunk is not None
        assert len(open_chunk(chunk)) == chunk.raw_bytes


@pytest.mark.parametrize(
    ("number", "code", "then_into"), [(signal.SIGKILL, -9, "another"), (signal.SIGINT, 130, "out")]
)
def test_what_a_pull_that_was_ended_had_brought_is_not_received_again(
    run_cli: RunCli, tmp_path: Path, cache_dir: Path, number: int, code: int, then_into: str
) -> None:
    content = Content.of({"weights.bin": os.urandom(40 * KB)}, cut_bytes=KB)
    with HostileServer(content) as server:
        honestly, server.download = server.download, stopping_after(content, 12)
        command = [*WEIGHBRIDGE, "pull", REF, str(tmp_path / "out"), "--server", server.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as pull:
            # Where it goes on is known to the folder and to the cache; the last chunk may not have got to either.
            wait_until(lambda: len([path for path in cached(cache_dir) if UNFINISHED not in path.name]) == 12)
            pull.send_signal(number)
            assert pull.wait(60) == code
        server.download = honestly
        ran = run_cli("pull", REF, tmp_path / then_into, "--json", address=server.address)
        assert ran.json["chunks_received"] == 28
        assert [path.name for path in (tmp_path / then_into).iterdir()] == ["weights.bin"]
        assert run_cli("verify", tmp_path / then_into, address=server.address).code == 0
        again = run_cli("pull", REF, tmp_path / "once more", "--json", address=server.address)
        assert again.json["chunks_received"] == 0
