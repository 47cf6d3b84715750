"""Pulling a part of a version: which files are chosen, and what is known afterwards of those that were not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weighbridge as wb
from conftest import RunCli, RunningServer
from hostile_pulls import stopping_after
from hostile_server import REF, Content, HostileServer
from pull_results import Sums, cached, contents, folder_of
from weighbridge.client import Client
from weighbridge.core.errors import UsageError
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.core.paths import PARTIAL_PREFIX
from weighbridge.selection import Selection

pytest_plugins = ["hostile_fixtures"]

NewModel = Callable[[], str]

FILES = {
    "README.md": b"about it",
    "config.json": b'{"layers": 2}',
    "model-1.safetensors": os.urandom(3000),
    "model-2.safetensors": os.urandom(3001),
    "optimizer/state.bin": os.urandom(5000),
    "optimizer/deep/state.json": b"[1, 2]",
    "größe [1].txt": "ключ".encode(),
}
WEIGHTS = {"model-1.safetensors", "model-2.safetensors"}


def listed(*paths: str) -> list[FileManifest]:
    """Empty files."""
    return [file_manifest(path, []) for path in paths]


def chosen(include: Sequence[str] = (), exclude: Sequence[str] = ()) -> set[str]:
    """Which of the files are."""
    return {file.path for file in Selection(include, exclude).of("a.b.c:1", listed(*FILES))}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where it is pulled to."""
    return tmp_path / "out"


@pytest.fixture
def ref(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """The files as a version."""
    return client.push(new_model(), folder_of(tmp_path / "source", FILES)).version.ref


# -- patterns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("include", "exclude", "paths"),
    [
        ([], [], set(FILES)),
        (["*"], [], set(FILES)),
        (["*.safetensors"], [], WEIGHTS),
        (["model-?.safetensors"], [], WEIGHTS),
        (["model-[!2].safetensors"], [], {"model-1.safetensors"}),
        (["*.json"], [], {"config.json", "optimizer/deep/state.json"}),
        (["optimizer/*"], [], {"optimizer/state.bin", "optimizer/deep/state.json"}),
        (["*/state.*"], [], {"optimizer/state.bin", "optimizer/deep/state.json"}),
        (["config.json"], [], {"config.json"}),
        (["config.json", "*.md", "*.md"], [], {"config.json", "README.md"}),
        (["größe [[]1].txt"], [], {"größe [1].txt"}),
        ([], ["optimizer/*", "*.safetensors"], {"README.md", "config.json", "größe [1].txt"}),
        (["*.json"], ["optimizer/*"], {"config.json"}),
        (["config.json"], ["nothing that is there"], {"config.json"}),
        (["nothing that is there", "README.md"], [], {"README.md"}),
    ],
)
def test_a_file_is_chosen_by_its_whole_path(include: list[str], exclude: list[str], paths: set[str]) -> None:
    assert chosen(include, exclude) == paths


@pytest.mark.parametrize(
    ("include", "exclude"),
    [
        (["config"], []),
        (["onfig.json"], []),
        (["CONFIG.JSON"], []),
        (["state.bin"], []),
        (["./config.json"], []),
        (["optimizer"], []),
        (["optimizer/"], []),
        ([""], []),
        (["größe [1].txt"], []),
        (["config.json\n"], []),
        ([], ["*"]),
        (["config.json"], ["config.json"]),
        (["*.json"], ["*.json"]),
    ],
)
def test_what_matches_only_in_part_is_not_chosen(include: list[str], exclude: list[str]) -> None:
    with pytest.raises(UsageError, match=r"no file of a\.b\.c:1 is selected by the patterns; it has 'README.md', "):
        chosen(include, exclude)


def test_the_order_of_the_files_is_kept() -> None:
    files = listed("c", "a", "b")
    assert [file.path for file in Selection(("a", "c")).of("a.b.c:1", files)] == ["c", "a"]


def test_a_refusal_names_ten_files_and_counts_the_others() -> None:
    for count, end in ((10, "'f9'"), (11, "'f9' and 1 more"), (5000, "'f9' and 4990 more")):
        with pytest.raises(UsageError, match=f"{end}$") as caught:
            Selection(("x",)).of("a.b.c:1", listed(*(f"f{number}" for number in range(count))))
        assert len(caught.value.message) < 200


def test_of_a_version_without_files_nothing_is_refused() -> None:
    assert Selection(("x",), ("y",)).of("a.b.c:1", []) == []


PATTERNS = st.lists(st.text(alphabet="*?[]!-^a/.\\\n{}()|+$") | st.text(), max_size=4)


@given(PATTERNS, PATTERNS)
def test_any_text_is_a_pattern(include: list[str], exclude: list[str]) -> None:
    files = listed("a", "a/b", "[a]", "a-a!.a")
    everything = {file.path for file in files}
    try:
        taken = {file.path for file in Selection(include, exclude).of("a.b.c:1", files)}
    except UsageError:
        taken = set()
    assert taken <= everything
    if not include and not exclude:
        assert taken == everything
    for path in everything - taken:
        with pytest.raises(UsageError):
            Selection(include, exclude).of("a.b.c:1", listed(path))


@pytest.mark.parametrize("which", ["include", "exclude"])
def test_one_text_in_place_of_a_list_is_refused(client: wb.Client, which: str) -> None:
    wrong = {which: "*.json"}
    with pytest.raises(wb.UsageError, match=re.escape(f"{which} is a list of patterns, such as ['*.json']")):
        client.pull("not.asked.for", **wrong)  # type: ignore[arg-type]


# -- through the command line --------------------------------------------------------------------------


def test_only_what_is_chosen_is_pulled_and_counted(run_cli: RunCli, ref: str, out: Path) -> None:
    flags = ("--include", "*.safetensors", "--include", "*.json", "--exclude", "optimizer/*")
    pulled = run_cli("pull", ref, out, *flags, "--json").json
    wanted = {name: raw for name, raw in FILES.items() if name in {*WEIGHTS, "config.json"}}
    size = sum(map(len, wanted.values()))
    assert contents(out) == wanted
    assert (pulled["bytes_total"], pulled["bytes_received"]) == (size, size)
    assert (pulled["chunks_total"], pulled["chunks_received"]) == (3, 3)
    assert pulled["ref"] == ref
    assert "3 files" in run_cli("pull", ref, out, *flags).out


def test_nothing_chosen_is_an_error_that_lists_the_files(run_cli: RunCli, ref: str, out: Path) -> None:
    ran = run_cli("pull", ref, out, "--include", "*.gguf")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: USAGE: no file of {ref} is selected by the patterns; it has 'README.md', ")
    assert ran.err.count("\n") == 1
    for path in FILES:
        assert repr(path) in ran.err
    assert not out.exists()


def test_verify_after_a_part_is_about_that_part(run_cli: RunCli, ref: str, out: Path) -> None:
    assert run_cli("pull", ref, out, "--exclude", "optimizer/*").code == 0
    verified = run_cli("verify", out, "--json")
    assert (verified.code, verified.json["ref"], verified.json["files_total"]) == (0, ref, 5)
    (out / "config.json").unlink()
    ran = run_cli("verify", out)
    assert ran.code == 3
    assert "config.json" in ran.out
    assert "optimizer" not in ran.out


# -- one part after the other ------------------------------------------------------------------------


def test_parts_of_one_version_add_up(client: wb.Client, ref: str, out: Path) -> None:
    client.pull(ref, out, include=["*.safetensors"])
    second = client.pull_with_counts(ref, out, include=["*.json"])
    assert (second.files_total, second.chunks_received) == (2, 2)
    verified = client.verify(out)
    assert (verified.ok, verified.files_total, verified.others) == (True, 4, [])
    (out / "model-1.safetensors").write_bytes(b"of the first part")
    (out / "config.json").write_bytes(b"of the second")
    assert {problem.path for problem in client.verify(out).problems} == {"model-1.safetensors", "config.json"}


def untouched(path: Path) -> tuple[int, int, int, int]:
    """Equal as long as a file is neither replaced nor written; that it was read may show in its times."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def test_the_whole_after_a_part_receives_the_rest(
    client: wb.Client, ref: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    client.pull(ref, out, include=["*.safetensors"])
    before = {name: untouched(out / name) for name in WEIGHTS}
    progress = Sums()
    whole = client.pull_with_counts(ref, out, progress=progress)
    assert (whole.files_total, whole.chunks_total, whole.chunks_received) == (7, 7, 5)
    assert progress.raw_bytes == progress.bytes_total == whole.bytes_total
    assert {name: untouched(out / name) for name in WEIGHTS} == before
    assert contents(out) == FILES
    assert client.verify(out).files_total == 7


def test_a_part_after_the_whole_is_still_the_whole(client: wb.Client, ref: str, out: Path) -> None:
    client.pull(ref, out)
    (out / "config.json").write_bytes(b"overwritten")
    assert client.pull_with_counts(ref, out, include=["*.safetensors"]).chunks_received == 0
    verified = client.verify(out)
    assert (verified.files_total, [problem.path for problem in verified.problems]) == (7, ["config.json"])


def test_the_same_content_under_another_number_adds_up_too(
    client: wb.Client, ref: str, out: Path, tmp_path: Path
) -> None:
    again = client.push(ref.partition(":")[0], tmp_path / "source").version.ref
    client.pull(ref, out, include=["*.md"])
    client.pull(again, out, include=["*.json"])
    verified = client.verify(out)
    assert (verified.ok, verified.ref, verified.files_total) == (True, again, 3)


def test_a_part_of_another_version_is_all_that_is_known(
    client: wb.Client, ref: str, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    client.pull(ref, out)
    newer = {"config.json": b"{}", "model-1.safetensors": FILES["model-1.safetensors"]}
    following = client.push(ref.partition(":")[0], folder_of(tmp_path / "source", newer)).version.ref
    pulled = client.pull_with_counts(following, out, include=list(newer))
    assert (pulled.chunks_total, pulled.chunks_received) == (2, 1)
    assert contents(out) == {**FILES, **newer}
    verified = client.verify(out)
    assert (verified.ok, verified.ref, verified.files_total) == (True, following, 2)
    assert set(verified.others) == set(FILES) - set(newer)


def test_only_chunks_of_what_is_chosen_are_cached(client: wb.Client, ref: str, out: Path, cache_dir: Path) -> None:
    client.pull(ref, out, include=["*.safetensors"])
    assert len(cached(cache_dir)) == 2


# -- a part that was interrupted ---------------------------------------------------------------------


def test_a_part_that_was_interrupted_is_continued_by_the_same_choice(
    hostile: HostileServer, hasty: Client, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    raw = {"a.bin": os.urandom(8000), "b.bin": os.urandom(8000), "notes.txt": b"not wanted"}
    hostile.content = Content.of(raw, cut_bytes=1000)
    honestly, hostile.download = hostile.download, stopping_after(hostile.content, 11)
    with pytest.raises(wb.DeadlineExceeded):
        hasty.pull(REF, out, include=["*.bin"])
    assert [path.name.startswith(PARTIAL_PREFIX) for path in out.iterdir()] == [True]
    hostile.download = honestly
    # Patterns may differ: what they choose counts.
    progress = Sums()
    assert hasty.pull_with_counts(REF, out, include=["a*", "b*"], progress=progress).chunks_received == 5
    assert (progress.raw_bytes, progress.bytes_total, progress.moved_bytes) == (16_000, 16_000, 5000)
    assert contents(out) == {"a.bin": raw["a.bin"], "b.bin": raw["b.bin"]}


def test_another_choice_does_not_take_an_interrupted_one_for_its_own(
    hostile: HostileServer, hasty: Client, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")
    raw = {"a.bin": os.urandom(8000), "b.bin": os.urandom(8000)}
    hostile.content = Content.of(raw, cut_bytes=1000)
    honestly, hostile.download = hostile.download, stopping_after(hostile.content, 5)
    with pytest.raises(wb.DeadlineExceeded):
        hasty.pull(REF, out, include=["a.bin"])
    hostile.download = honestly
    assert hasty.pull_with_counts(REF, out, include=["b.bin"]).chunks_received == 8
    assert contents(out) == {"b.bin": raw["b.bin"]}
    assert hasty.verify(out).files_total == 1


PULLS_EACH = """
import sys
import weighbridge as wb
address, ref, out, *paths = sys.argv[1:]
with wb.connect(address) as client:
    sys.stdin.readline()
    for path in paths:
        client.pull(ref, out, include=[path])
"""


def test_parts_that_are_pulled_at_the_same_moment_all_count(
    server: RunningServer, client: wb.Client, new_model: NewModel, out: Path, tmp_path: Path
) -> None:
    paths = [f"{number:02}.bin" for number in range(60)]
    ref = client.push(new_model(), folder_of(tmp_path / "many", {path: path.encode() for path in paths})).version.ref
    pulls = [
        subprocess.Popen(
            [sys.executable, "-c", PULLS_EACH, server.address, ref, out, *paths[number::3]], stdin=subprocess.PIPE
        )
        for number in range(3)
    ]
    for pull in pulls:
        assert pull.stdin is not None
        pull.stdin.write(b"go\n")
        pull.stdin.flush()
    assert [pull.wait(120) for pull in pulls] == [0, 0, 0]
    for pull in pulls:
        assert pull.stdin is not None
        pull.stdin.close()
    assert client.verify(out).files_total == len(paths)
