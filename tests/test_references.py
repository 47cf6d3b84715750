"""Names and references: what is written is what is read, and a refusal says which part is wrong."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.errors import InvalidName, InvalidReference
from weighbridge.core.refs import Ref, check_model_name, check_usual_name, parse_ref, version_ref

LETTERS = string.ascii_lowercase + string.digits
WORDS = st.builds(str.__add__, st.sampled_from(LETTERS), st.text(LETTERS + "-", max_size=62))
USUAL_NAMES = st.builds(".".join, st.lists(WORDS, min_size=3, max_size=3))
SEGMENTS = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_letters + string.digits),
    st.text(string.ascii_letters + "0-_", max_size=62),
)
NAMES = st.builds(".".join, st.lists(SEGMENTS, min_size=1, max_size=8)).filter(lambda name: len(name) <= 255)
REFS = st.one_of(
    st.builds(Ref, NAMES),
    st.builds(Ref, NAMES, version=st.integers(1, 10**18 - 1)),
    st.builds(Ref, NAMES, alias=WORDS),
    st.builds(Ref, NAMES, manifest=st.binary(min_size=32, max_size=32)),
)


@given(REFS)
def test_a_reference_is_read_as_it_is_written(ref: Ref) -> None:
    assert parse_ref(str(ref)) == ref


@given(st.one_of(st.text(), st.text("ab.:@#-0 7", max_size=20), st.builds(str.__add__, REFS.map(str), st.text())))
def test_any_text_is_a_reference_written_in_the_one_way_or_refused(text: str) -> None:
    try:
        ref = parse_ref(text)
    except (InvalidName, InvalidReference):
        return
    assert str(ref) == text


@given(NAMES, st.integers(1, 10**6))
def test_a_numbered_reference(name: str, number: int) -> None:
    assert version_ref(name, number) == str(Ref(name, version=number)) == f"{name}:{number}"


@given(NAMES)
def test_a_name_that_follows_the_pattern_is_returned(name: str) -> None:
    assert check_model_name(name) == name


@given(USUAL_NAMES)
def test_a_usual_name_is_one_of_what_can_be_a_name(name: str) -> None:
    assert check_usual_name(name) == check_model_name(name) == name


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("", ["name.project"]),
        ("a.b.c.d.e.f.g.h.I_", ["name"]),
        ("a.b.c.d.e.f.g.h.i.-", ["name", "name.segment 10"]),
        ("_a.b c.ä", ["name.project", "name.task", "name.architecture"]),
        ("a..b/c", ["name.task", "name.architecture"]),
        (f"{'a' * 64}.b", ["name.project"]),
        ("a" * 256, ["name"]),
        ("." * 4_000_000, ["name"]),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_what_cannot_be_a_name_under_any_pattern(name: str, places: list[str]) -> None:
    with pytest.raises(InvalidName) as refused:
        check_model_name(name)
    assert [violation.path for violation in refused.value.violations] == places


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("", ["name", "name.project"]),
        ("fraud", ["name"]),
        ("a.b.c.D", ["name", "name.segment 4"]),
        ("Fraud.tabular.transformer", ["name.project"]),
        ("fraud.tab ular.transformer", ["name.task"]),
        ("fraud.tabular.", ["name.architecture"]),
        ("-fraud.ta_bular.tränsformer", ["name.project", "name.task", "name.architecture"]),
        (f"{'a' * 64}.b.{'c' * 64}", ["name.project", "name.architecture"]),
        ("fraud.tabular.transformer\n", ["name.architecture"]),
    ],
)
def test_every_wrong_segment_is_named(name: str, places: list[str]) -> None:
    with pytest.raises(InvalidName) as refused:
        check_usual_name(name)
    assert [violation.path for violation in refused.value.violations] == places


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        ("", "is empty"),
        ("-a", "begins with a hyphen"),
        ("aBé", "has 'Bé'"),
        ("a" * 64, "longer than 63"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_a_segment(segment: str, said: str) -> None:
    with pytest.raises(InvalidName) as refused:
        check_usual_name(f"fraud.{segment}.transformer")
    (violation,) = refused.value.violations
    assert violation.path == "name.task"
    assert said in violation.message


@given(WORDS.filter(lambda word: len(word) < 63), st.sampled_from("ABÇ_/\\ :@#\0\n\udc80"), st.integers(0, 62))
def test_no_other_character_gets_into_a_usual_name(word: str, char: str, place: int) -> None:
    with pytest.raises(InvalidName) as refused:
        check_usual_name(f"fraud.{word[:place]}{char}{word[place:]}.transformer")
    assert [violation.path for violation in refused.value.violations] == ["name.task"]


@given(SEGMENTS.filter(lambda word: len(word) < 63), st.sampled_from("Ç*/\\ :@#\0\n\udc80"), st.integers(0, 62))
def test_no_other_character_gets_into_any_name(word: str, char: str, place: int) -> None:
    with pytest.raises(InvalidName) as refused:
        check_model_name(f"fraud.{word[:place]}{char}{word[place:]}.transformer")
    assert [violation.path for violation in refused.value.violations] == ["name.task"]


@pytest.mark.parametrize(
    "rest", [":", ":0", ":01", ":+1", ":1.0", ":1 ", "@", "@A", "#", "#b3:", "#b3:" + "0" * 63, "@a@b"]
)
def test_a_refusal_shows_the_part_that_is_wrong(rest: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        parse_ref("fraud.tabular.transformer" + rest)
    assert repr(rest[1:]) in refused.value.message
