"""A version holds only paths that every file system takes, none of which leads outside."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.errors import InvalidPath, LimitExceeded
from weighbridge.core.limits import FILES_PER_VERSION, PATH_BYTES
from weighbridge.core.paths import TakenPaths, check_paths

TRICKY = st.text(st.sampled_from("./\\\0aA~:é \u0301"), max_size=12)


def refusals(*paths: str) -> dict[str, str]:
    """What is said of each path that is refused."""
    with pytest.raises(InvalidPath) as refused:
        check_paths(paths)
    return {violation.path: violation.message for violation in refused.value.violations}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("a/../../b", "leads outside"),
        ("..", "leads outside"),
        ("./a", "'.' segment"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("a\\..\\b", "backslash"),
        ("a\0.bin", "NUL"),
        ("a\udc80.bin", "not valid Unicode"),
        ("a" * (PATH_BYTES + 1), f"{PATH_BYTES + 1} bytes"),
        ("é" * (PATH_BYTES // 2) + "a", f"{PATH_BYTES + 1} bytes"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_refusal_says_what_is_wrong_with_a_path(path: str, said: str) -> None:
    found = refusals("config.json", path)
    assert found.keys() == {path}
    assert said in found[path]


def test_every_wrong_path_is_listed() -> None:
    assert refusals("a", "/b", "c/../d", "A", "a/e").keys() == {"/b", "c/../d", "A", "a/e"}


@given(st.lists(st.one_of(TRICKY, st.text(max_size=8)), max_size=6))
def test_no_accepted_path_leads_outside(paths: list[str]) -> None:
    try:
        check_paths(paths)
    except InvalidPath:
        return
    for path in paths:
        assert PurePosixPath("root", path).parts[1:] == tuple(path.split("/"))
        assert not {"", ".", ".."} & set(path.split("/"))
        assert not set("\0\\") & set(path)
    assert len(set(map(str.lower, paths))) == len(paths)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0."), min_size=1, max_size=20))
def test_two_ways_to_write_one_path_collide(path: str) -> None:
    for other in (path, path.casefold(), *(unicodedata.normalize(form, path) for form in ("NFC", "NFD"))):
        assert "collides with" in refusals(path, other)[other]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Model.bin", "model.BIN"),
        ("DIR/a", "dir/A"),
        ("straße", "STRASSE"),
        ("\u00e9", "E\u0301"),
        ("\u0390", "\u03aa\u0301"),
        ("ΟΔΟΣ", "οδος"),
    ],
    ids=ascii,
)
def test_a_collision_names_both_paths(first: str, second: str) -> None:
    assert refusals(first, second) == {second: f"collides with {first!r} where case does not count"}


@pytest.mark.parametrize("paths", [("a", "a/b/c"), ("a/b/c", "a"), ("A", "a/b/c"), ("a/B", "A/b/c")])
def test_nothing_is_file_and_folder_at_once(paths: tuple[str, str]) -> None:
    holder, inside = sorted(paths, key=len)
    assert refusals(*paths) == {inside: f"needs a folder where {holder!r} is a file"}


def test_the_same_path_twice_does_not_differ_in_case() -> None:
    assert refusals("model.bin", "model.bin") == {"model.bin": "collides with another file of the same path"}


@given(
    st.lists(
        st.text(st.sampled_from("aAb/"), min_size=1, max_size=5).filter(lambda path: not set(path.split("/")) & {""}),
        max_size=6,
    ),
    st.integers(0, 6),
)
def test_in_parts_as_much_is_refused_as_at_once(paths: list[str], at: int) -> None:
    taken = TakenPaths()
    for begin, end in ((0, at), (at, len(paths))):
        said = said_of(lambda part: taken.take((path, "") for path in part), paths[begin:end])
        assert said == said_of(check_paths, paths[:end])
        if said:
            return


def said_of(check: Callable[[list[str]], None], paths: list[str]) -> list[tuple[str, str]]:
    """What is said of paths, and of which."""
    try:
        check(paths)
    except InvalidPath as refusal:
        return sorted((violation.path, violation.message) for violation in refusal.violations)
    return []


def test_a_part_that_is_refused_takes_no_path() -> None:
    taken = TakenPaths()
    taken.take([("a/b", "")])
    for part in (["c", "a"], ["c", "A/B"], ["c", "a/b/c"], ["c", "/"]):
        with pytest.raises(InvalidPath):
            taken.take((path, "") for path in part)
    taken.take([("c", ""), ("a/c", "")])


@pytest.mark.timeout(20)
def test_paths_that_come_one_by_one_are_not_checked_again_and_again() -> None:
    """That would be 200 million checks."""
    taken = TakenPaths()
    for number in range(FILES_PER_VERSION):
        taken.take([(f"checkpoints/{number % 100}/{number}.bin", "")])
    with pytest.raises(LimitExceeded):
        taken.take([("one more", "")])


def test_as_many_files_as_a_version_may_hold() -> None:
    paths = [f"{n // 100}/{n}" for n in range(FILES_PER_VERSION)]
    check_paths(paths)
    with pytest.raises(LimitExceeded) as refused:
        check_paths([*paths, "one more"])
    assert refused.value.details == {"limit": str(FILES_PER_VERSION), "actual": str(FILES_PER_VERSION + 1)}


@pytest.mark.timeout(20)
def test_long_hostile_paths_cost_no_more_than_reading_them() -> None:
    """20 MB of separators: looking for every parent of such a path would take hours."""
    paths = [f"{n}/" + "a/" * 30_000 + "b" for n in range(300)]
    assert refusals(*paths).keys() == set(paths)
