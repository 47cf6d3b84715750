"""What a schema makes of a version, without a server: every violation at its path, in words, within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.errors import InvalidRequest, LimitExceeded
from weighbridge.core.manifest import FileSummary
from weighbridge.core.refs import ALL_NAMES, prefixes_of
from weighbridge.core.values import Dataset, Energy, Environment, MetricSummary, Parent, Record, Scalar, SourceCode
from weighbridge_server.domain.schema.json_schema import begun_document, compile_schema, shipped_text, version_document

MODEL = "fraud.tabular.transformer"
SHIPPED = ("data_sensitivity", "cost_per_inference", "dataset_version", "hardware_target")
TAGS: dict[str, Scalar] = dict(zip(SHIPPED, ("internal", 0.5, "2026-10", "gpu"), strict=True))


def whole(record: Record, **metrics: float) -> dict[str, Any]:
    """A committed version of one file."""
    summaries = [MetricSummary(name, value, 0, 1, value, value) for name, value in metrics.items()]
    return version_document(MODEL, record, summaries, [FileSummary("model.bin", 3, bytes(32), 1)])


def broken(schema: Any, record: Record | None = None, **metrics: float) -> dict[str, str]:
    """What a version breaks, by path."""
    text = schema if isinstance(schema, str) else json.dumps(schema)
    found = compile_schema(text).violations(whole(record or Record(), **metrics))
    return {violation.path: violation.message for violation in found}


def broken_at_begin(schema: Any, record: Record | None = None) -> list[str]:
    """The paths of what a version breaks when it is begun."""
    found = compile_schema(json.dumps(schema)).violations(begun_document(MODEL, record or Record()), pending=True)
    return [violation.path for violation in found]


def wrong(schema: Any) -> dict[str, str]:
    """What is wrong with a schema, by path."""
    with pytest.raises(InvalidRequest) as refused:
        compile_schema(schema if isinstance(schema, str) else json.dumps(schema))
    return {violation.path: violation.message for violation in refused.value.violations}


def test_the_shipped_schema_asks_for_four_tags_and_says_what_they_are() -> None:
    missing = broken(shipped_text())
    assert list(missing) == [f"tags.{name}" for name in SHIPPED]
    assert missing["tags.hardware_target"].startswith("is missing (--tag hardware_target=VALUE, or set_tags(…)): the ")
    assert broken(shipped_text(), Record(tags=TAGS)) == {}
    assert broken(shipped_text(), Record(tags={**TAGS, "dataset_version": 2026, "cost_per_inference": 0})) == {}
    wrong_kinds: dict[str, Any] = dict(zip(SHIPPED, (True, "cheap", "", 7), strict=True))
    assert [said.split(":")[0] for said in broken(shipped_text(), Record(tags=wrong_kinds)).values()] == [
        "is true; it has to be text",
        "is the text 'cheap'; it has to be a number",
        "has 0 characters; it has to have at least 1",
        "is 7; it has to be text",
    ]


@pytest.mark.parametrize("bound", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_passes_no_bound(bound: str, value: float) -> None:
    schema = {"properties": {"metrics": {"properties": {"auc": {bound: 0.5}}}}}
    assert list(broken(schema, auc=value)) == ["metrics.auc"]
    assert broken({"properties": {"metrics": {"properties": {"auc": {"type": "string"}}}}}, auc=value) == {}


def test_a_text_that_says_nan_is_no_number_and_has_no_bound() -> None:
    schema = {"properties": {"tags": {"properties": {"a": {"minimum": 1}}}}}
    assert broken(schema, Record(tags={"a": "NaN"})) == {}


@pytest.mark.parametrize(
    ("value", "step", "is_one"),
    [(19.99, 0.01, True), (0.3, 0.1, True), (0.35, 0.1, False), (1e300, 7, False), (1e-300, 1e-301, True)],
)
def test_multiples_are_those_of_the_numbers_as_they_are_written(value: float, step: float, is_one: bool) -> None:
    schema = {"properties": {"tags": {"properties": {"a": {"multipleOf": step}}}}}
    assert (broken(schema, Record(tags={"a": value})) == {}) is is_one


def test_the_shipped_schema_is_never_changed_in_place() -> None:
    """Versions say that they passed revision 0: another text needs another way to say so."""
    document = json.loads(shipped_text())["properties"]["tags"]
    assert document["required"] == list(SHIPPED)
    kinds = [document["properties"][name]["type"] for name in SHIPPED]
    assert kinds == ["string", "number", ["string", "number"], "string"]


@pytest.mark.parametrize(
    ("schema", "path", "said"),
    [
        ({"properties": {"tags": {"required": ["a"]}}}, "tags.a", "is missing (--tag a=VALUE, or set_tags(…))"),
        ({"required": ["source"]}, "source", "is missing (push from a git repository, without --no-capture)"),
        ({"required": ["datasets"]}, "datasets", "is missing (--dataset NAME:VERSION, or add_dataset(…))"),
        (
            {"properties": {"tags": {"properties": {"t": {"enum": ["x", 2]}}}}},
            "tags.t",
            "is 'v'; it has to be 'x' or 2",
        ),
        ({"properties": {"tags": {"properties": {"t": {"const": True}}}}}, "tags.t", "is 'v'; it has to be true"),
        (
            {"properties": {"tags": {"properties": {"t": {"pattern": "^[0-9]+$"}}}}},
            "tags.t",
            "is 'v'; it has to be text that matches '^[0-9]+$'",
        ),
        ({"properties": {"params": {"properties": {"n": {"maximum": 1}}}}}, "params.n", "is 2; it has to be 1 or less"),
        (
            {"properties": {"params": {"properties": {"n": {"exclusiveMinimum": 2}}}}},
            "params.n",
            "is 2; it has to be more than 2",
        ),
        (
            {"properties": {"params": {"properties": {"n": {"type": ["string", "boolean"]}}}}},
            "params.n",
            "is 2; it has to be text or true or false",
        ),
        (
            {"properties": {"tags": {"additionalProperties": False, "properties": {"u": {}}}}},
            "tags.t",
            "is not allowed; the schema knows 'u'",
        ),
        ({"properties": {"tags": {"unevaluatedProperties": False}}}, "tags.t", "is not allowed"),
        ({"properties": {"tags": {"properties": {"t": False}}}}, "tags.t", "is not allowed"),
        ({"properties": {"tags": {"minProperties": 2}}}, "tags", "has 1 member; it has to have at least 2"),
        (
            {"properties": {"tags": {"propertyNames": {"maxLength": 0}}}},
            "tags.t",
            "has a name that the schema does not allow: it has 1 character; it has to have at most 0",
        ),
        ({"dependentRequired": {"tags": ["energy"]}}, "energy", "and is asked for where 'tags' is given"),
        ({"properties": {"files": {"items": {"required": ["digest"]}}}}, "files[0].digest", "is missing"),
        ({"properties": {"files": {"items": False}}}, "files[0]", "is not allowed"),
        (
            {"properties": {"files": {"contains": {"properties": {"path": {"const": "card.md"}}, "title": "a card"}}}},
            "files",
            "has no item of the kind that it needs (a card)",
        ),
        ({"not": {"required": ["params"]}}, "record", "has 'params', which it must not"),
        (
            {"anyOf": [{"required": ["energy"]}, {"properties": {"tags": {"required": ["kwh"]}}}]},
            "record",
            "fits none of 2 alternatives: energy is missing",
        ),
        ({"oneOf": [{"required": ["tags"]}, {}, False]}, "record", "fits the alternatives 1 and 2"),
        ({"properties": {"tags": {"properties": {"t": {"title": "T", "type": "null"}}}}}, "tags.t", "to be null: T"),
    ],
)
def test_a_violation_says_where_and_what(schema: Any, path: str, said: str) -> None:
    found = broken(schema, Record(tags={"t": "v"}, params={"n": 2}))
    assert list(found) == [path]
    assert said in found[path]


def test_all_that_is_wrong_is_listed_up_to_a_thousand_things() -> None:
    names = [f"t{number:04}" for number in range(2000)]
    schema = {"properties": {"tags": {"required": names}}, "allOf": [{"properties": {"tags": {"required": names}}}]}
    assert list(broken(schema)) == [f"tags.{name}" for name in names[:1000]]


def test_what_says_nothing_is_not_there_but_maps_are() -> None:
    """So 'required' asks for something to be said, and what is asked of a tag is asked of who has none."""
    document = whole(Record())
    assert document == {
        "model": MODEL,
        "params": {},
        "tags": {},
        "metrics": {},
        "files": [{"path": "model.bin", "size_bytes": 3, "root": "b3:" + "0" * 64}],
    }
    record = Record(
        description="d",
        params={"lr": 0.0},
        datasets=(Dataset("d", digest="sha256:0"),),
        parents=(Parent("a.b.c:7"),),
        source=SourceCode(commit="c" * 40),
        environment=Environment(python="3.11"),
        energy=Energy(kwh=0.0),
    )
    said = whole(record, loss=float("nan"), best=float("-inf"))
    assert said["metrics"] == {"loss": "NaN", "best": "-Infinity"}
    assert said["params"] == {"lr": 0.0}
    assert said["datasets"] == [{"name": "d", "digest": "sha256:0"}]
    assert said["parents"] == [{"ref": "a.b.c:7", "relation": "fine-tuned"}]
    assert said["source"] == {"commit": "c" * 40, "dirty": False}
    assert said["environment"] == {"python": "3.11", "packages": {}}
    assert said["energy"] == {"kwh": 0.0}


def test_a_begin_is_not_refused_for_what_its_metrics_and_files_may_mend() -> None:
    accurate = {"properties": {"metrics": {"required": ["accuracy"]}}}
    described = {"required": ["description"]}
    assert broken_at_begin({"allOf": [accurate, described]}) == ["description"]
    for lenient in (
        {"anyOf": [accurate, described]},
        {"oneOf": [accurate, described]},
        {"not": accurate},
        {"if": accurate, "then": described},
        {"$ref": "#/$defs/a", "$defs": {"a": {"not": {"not": accurate}}}},
        {"properties": {"files": {"contains": {"properties": {"path": {"const": "card.md"}}}}}},
        {"properties": {"metrics": False}},
    ):
        assert broken_at_begin(lenient) == []
    for strict in (
        {"if": accurate, "then": described, "else": {"required": ["energy"]}},
        {"anyOf": [described, {"allOf": [accurate, described]}]},
        {"not": {"anyOf": [accurate, {"required": ["tags"]}]}},
    ):
        assert broken_at_begin(strict) != []


NAMES = st.sampled_from("ab")
LEAVES = st.one_of(
    st.just({}),
    st.builds(
        lambda part, name: {"properties": {part: {"required": [name]}}}, st.sampled_from(["tags", "metrics"]), NAMES
    ),
    st.builds(
        lambda name, least: {"properties": {"metrics": {"properties": {name: {"minimum": least}}}}},
        NAMES,
        st.integers(0, 2),
    ),
    st.just({"properties": {"metrics": {"additionalProperties": False}}}),
    st.just({"required": ["description"]}),
)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        *(st.builds(lambda each, keyword=keyword: {keyword: each}, several) for keyword in ("allOf", "anyOf", "oneOf")),
        st.builds(lambda each: {"not": each}, inner),
        st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner}),
    )


@settings(max_examples=400)
@given(
    st.recursive(LEAVES, _combined, max_leaves=8),
    st.dictionaries(NAMES, st.just("x")),
    st.lists(st.dictionaries(NAMES, st.sampled_from([0.0, 1.0, 3.0])), max_size=6),
)
def test_what_a_begin_is_refused_for_no_metrics_could_have_mended(
    schema: Any, tags: dict[str, str], all_metrics: list[dict[str, float]]
) -> None:
    compiled = compile_schema(json.dumps(schema))
    record = Record(tags=tags)
    if compiled.violations(begun_document(MODEL, record), pending=True):
        for metrics in [{}, {"a": 3.0, "b": 3.0}, *all_metrics]:
            assert compiled.violations(whole(record, **metrics))


@pytest.mark.parametrize(
    ("schema", "path", "said"),
    [
        ("", "json_schema", "is not JSON at line 1 column 1"),
        ("rules:\n- a", "json_schema", "A schema is JSON, not YAML"),
        ('{"a": 1,\n "a": 2}', "json_schema", "has the member 'a' twice"),
        ('{"maximum": NaN}', "json_schema", "it has no NaN"),
        ('{"maximum": 1e999}', "json_schema", "larger than a double"),
        ('{"title": "\\ud800"}', "json_schema", "half of a surrogate pair"),
        ("[]", "json_schema", "has to be an object or true or false"),
        ({"type": "strnig"}, "type", "is 'strnig'; it has to be 'array', 'boolean'"),
        ({"properties": {"tags": {"required": "owner"}}}, "properties.tags.required", "it has to be a list"),
        ({"properties": {"model": {"pattern": "["}}}, "properties.model.pattern", "cannot be read: missing ]"),
        ({"patternProperties": {"(a)\\1": {}}}, "patternProperties.(a)\\1", "no look-around and no backreferences"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema", "leave it out, or write"),
        ({"properties": {"tags": {"$id": "x"}}}, "properties.tags.$id", "belongs to the root"),
        ({"$dynamicRef": "#a"}, "$dynamicRef", "is not supported"),
        ({"$ref": "https://example.com/s.json"}, "$ref", "refers to another document"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "items.$ref", "none is ever fetched"),
        ({"$ref": "other.json#/a"}, "$ref", "refers to another document"),
        ({"$ref": "#/$defs/none"}, "$ref", "which is not there"),
        ({"$ref": "#/enum/0", "enum": [{}]}, "$ref", "which is no schema"),
        ({"$ref": "#"}, "$ref", "leads back here without end"),
        ({"not": {"anyOf": [{"$ref": "#"}]}}, "not.anyOf[0].$ref", "leads back here without end"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_schema_that_cannot_be_used_is_refused_and_says_where(schema: Any, path: str, said: str) -> None:
    found = wrong(schema)
    assert list(found) == [path]
    assert said in found[path]


def test_everything_that_is_wrong_with_a_schema_is_said() -> None:
    schema = {"$ref": "a.json", "properties": {"tags": {"pattern": "("}, "params": {"$ref": "#/no"}}}
    assert sorted(wrong(schema)) == ["$ref", "properties.params.$ref", "properties.tags.pattern"]


def test_what_refers_into_itself_is_followed() -> None:
    short = {"short": {"$anchor": "s", "maxLength": 1, "items": {"$ref": "#s"}}}
    for ref in ("#/$defs/short", "#s"):
        schema = {"properties": {"tags": {"properties": {"t": {"$ref": ref}}}}, "$defs": short}
        assert list(broken(schema, Record(tags={"t": "vv"}))) == ["tags.t"]
        assert list(broken(schema, Record(tags={"t": "v"}))) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"not": ' * 70 + "{}" + "}" * 70, "nested deeper than 64 levels"),
        ("[" * 200_000, "nested too deeply"),
        (json.dumps({"title": "x" * 256 * 1024}), "a schema has at most 262144"),
        (json.dumps({"properties": {f"p{number}": {} for number in range(10_000)}}), "more than 10000 objects"),
    ],
    ids=["deep", "deeper", "long", "wide"],
)
def test_a_schema_that_is_too_large_is_refused(schema: str, said: str) -> None:
    assert said in wrong(schema)["json_schema"]


@pytest.mark.long
def test_the_largest_schemas_are_taken() -> None:
    wide: dict[str, Any] = {"properties": {f"p{number}": {} for number in range(9_990)}}
    deep = '{"not": ' * 62 + "{}" + "}" * 62
    assert broken(wide) == {}
    assert broken(deep) == {}


def _doubling(keyword: str, depth: int) -> dict[str, Any]:
    """Asks twice what asks twice what …"""
    refs = [{"$ref": f"#/$defs/d{level + 1}"} for level in range(depth)]
    applied = [{"tags": ref, "params": ref} if keyword == "dependentSchemas" else [ref, ref] for ref in refs]
    defs = {f"d{level}": {keyword: each} for level, each in enumerate(applied)}
    return {"$ref": "#/$defs/d0", "unevaluatedProperties": False, "$defs": {**defs, f"d{depth}": {"type": "object"}}}


@pytest.mark.long
@pytest.mark.parametrize("keyword", ["allOf", "oneOf", "dependentSchemas"])
def test_a_schema_that_would_take_forever_is_given_up(keyword: str) -> None:
    schema = _doubling(keyword, 60)
    with pytest.raises(LimitExceeded, match="steps"):
        broken(schema)
    with pytest.raises(LimitExceeded, match="steps"):
        broken_at_begin(schema)


def test_no_pattern_takes_longer_than_its_text() -> None:
    text = "a" * 60_000 + "!"
    for pattern in ("^(a+)+$", "^(a|a)*$", "(.*)*b"):
        schema = {
            "properties": {"tags": {"properties": {"t": {"pattern": pattern}}, "patternProperties": {pattern: {}}}}
        }
        assert list(broken(schema, Record(tags={"t": text, text[:200] + "!": 1}))) == ["tags.t"]


def test_twenty_thousand_files_are_compared_once() -> None:
    files = [FileSummary(f"{number}.bin", 1, bytes(32), 1) for number in range(20_000)]
    schema = compile_schema(json.dumps({"properties": {"files": {"uniqueItems": True, "items": {"type": "object"}}}}))
    assert schema.violations(version_document(MODEL, Record(), [], files)) == []
    twice = version_document(MODEL, Record(), [], [*files, files[7]])
    assert [item.path for item in schema.violations(twice)] == ["files"]


SEGMENTS = st.lists(st.sampled_from(["a", "ab", "b", "A"]), min_size=1, max_size=4)


@given(SEGMENTS, SEGMENTS)
def test_a_prefix_governs_whole_segments(prefix: list[str], name: list[str]) -> None:
    governed = ".".join(prefix) in prefixes_of(".".join(name))
    assert governed == (name[: len(prefix)] == prefix)


@given(SEGMENTS)
def test_the_longest_prefix_comes_first_and_all_names_last(name: list[str]) -> None:
    prefixes = prefixes_of(".".join(name))
    assert prefixes[0] == ".".join(name)
    assert prefixes[-1] == ALL_NAMES
    lengths = [len(prefix) for prefix in prefixes[:-1]]
    assert lengths == sorted(lengths, reverse=True)
    assert prefixes_of(ALL_NAMES) == [ALL_NAMES]
