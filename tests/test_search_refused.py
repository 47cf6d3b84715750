"""Filters and orders that are refused: what is said, and where; limits; and texts that mean something to SQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, refused
from search_catalogue import BIG, OURS, Catalogue, catalogue
from weighbridge.v1 import versions_pb2

__all__ = ["catalogue"]


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    with RawClient(server.address) as raw:
        yield raw


def mistakes(client: wb.Client, condition: str, order_by: str = "") -> list[tuple[str, str]]:
    """Place and message of each."""
    with pytest.raises(wb.InvalidExpression) as error:
        list(client.search(condition, order_by=order_by))
    return [(violation.path, violation.message) for violation in error.value.violations]


@pytest.mark.parametrize(
    ("condition", "place", "said"),
    [
        # how it is written
        ("tags.a = 1", "1:8", "write =="),
        ("tags.a == 1 and tags.b == 2", "1:13", "write &&"),
        ("tags.a == ", "1:10", "a value is missing"),
        ("(tags.a == 1", "1:13", "')' is missing"),
        ("tags.a == 1)", "1:12", "')' cannot stand here"),
        ('tags.a == "x', "1:11", "a quote is missing"),
        ("tags.a == 'x\n'", "1:11", "a quote is missing"),
        ('true &&\n  tags.a == "\\q"', "2:14", "\\q is no escape"),
        ('tags.a == "\\u0000"', "1:11", "NUL"),
        ('tags.a == "\\ud800"', "1:12", "no character"),
        ("tags.größe == 1", "1:8", "'ö' cannot stand here"),
        ("tags.a == {}", "1:11", "'{' cannot stand here"),
        ("version == 99999999999999999999", "1:12", "beyond 64 bits"),
        ("version == 1e999", "1:12", "beyond what a double holds"),
        # what it names
        ("metics.accuracy > 1", "1:1", "did you mean metrics?"),
        ("accuracy > 1", "1:1", "metrics.accuracy"),
        ("metrics.val.loss < 1", "1:13", 'metrics["val.loss"]'),
        ("tags.cost-center == 1", "1:10", 'tags["cost-center"]'),
        ("environment.pyton == '3'", "1:13", "did you mean python?"),
        ("energy > 1", "1:1", "energy has parts: kwh"),
        ("tags == 1", "1:1", 'tags["NAME"]'),
        ("tags.a.b == 1", "1:8", "it has no parts"),
        ("datasets.name == 'x'", "1:10", "datasets.exists"),
        ("tags[version] == 1", "1:6", "a name in quotes"),
        ('datasets.exists(d, d.nam == "x")', "1:22", "did you mean name?"),
        ('datasets.exists(d, true) && d.name == "x"', "1:29", "there is no d"),
        ("lower(tags.a) == 'x'", "1:1", "there is no function lower"),
        ("has(energy)", "1:5", "energy has parts"),
        ("has(1)", "1:5", "has takes a name"),
        # kinds
        ("metrics.accuracy", "1:1", "this is a number"),
        ("metrics.accuracy && true", "1:1", "what && takes is a condition"),
        ("!description", "1:2", "this is a text"),
        ("version == 'one'", "1:9", "a number and a text cannot be compared"),
        ("created_time > '2026-01-01'", "1:14", 'timestamp("'),
        ("created_time > timestamp('2026-02-30')", "1:26", "is no time"),
        ("stage == 'prod'", "1:10", "none of development, staging, production, archived"),
        ("parents.exists(p, p.relation == 'child')", "1:33", "none of fine-tuned"),
        ("source.dirty < true", "1:14", "no order"),
        ("'a' + 1 == 2", "1:1", "this is a text; what + takes is a number"),
        ("tags.a == null", "1:11", "has(x)"),
        ("tags.a in tags", "1:1", "a name, in quotes"),
        ("version in [files_total]", "1:13", "numbers and texts as they are"),
        ("description.matches(tags.a)", "1:21", "a text in quotes"),
        ("description.matches('(')", "1:21", "parentheses"),
        ("(true ? 1 : 'a') == 1", "1:13", "this is a text; the other side is a number"),
    ],
)
def test_a_mistake_has_its_place_and_what_to_do(catalogue: Catalogue, condition: str, place: str, said: str) -> None:
    found = mistakes(catalogue.client, condition)
    assert [path for path, _ in found] == [place]
    assert said in found[0][1]


def test_all_mistakes_are_said_at_once_those_of_the_filter_first(catalogue: Catalogue) -> None:
    condition, order_by = "stge == 'x' || version == 'y' || tags", "metics.a, version desc, energy"
    with pytest.raises(wb.InvalidExpression) as error:
        list(catalogue.client.search(condition, order_by=order_by))
    assert [violation.path for violation in error.value.violations] == ["1:1", "1:24", "1:34", "1:1", "1:25"]
    assert error.value.details == {"filter": "3", "order_by": "2"}
    assert error.value.message == (
        "filter is wrong at 1:1: there is no stge; did you mean stage? "
        "(a name that users chose stands behind where it is from: tags.stge, params.stge, metrics.stge); "
        "5 things are wrong in all"
    )


def test_orders_that_cannot_be(catalogue: Catalogue) -> None:
    assert mistakes(catalogue.client, "", "version, ")[0][0] == "1:9"
    assert "'up' cannot stand here" in mistakes(catalogue.client, "", "version up")[0][1]
    assert mistakes(catalogue.client, "", "version descending")[0] == (
        "1:9",
        "'descending' is no operator; write desc",
    )
    assert "'DESC' is no operator; write desc" in mistakes(catalogue.client, "", "version DESC")[0][1]
    assert "tags has values" in mistakes(catalogue.client, "", "tags desc")[0][1]
    assert "at most 4" in mistakes(catalogue.client, "", "version, stage, creator, ref, model")[0][1]


# -- limits -------------------------------------------------------------------------------------


def test_a_filter_of_ten_kilobytes_is_answered(catalogue: Catalogue) -> None:
    many = " || ".join(f'tags.t{number} == "{number}"' for number in range(500))
    assert 10_000 < len(many) < 16 * 1024
    assert catalogue.find(f'{many} || tags.hardware_target == "cpu"') == ["big:2"]
    alike = " && ".join(['tags.hardware_target == "gpu"'] * 350)
    assert catalogue.find(alike) == ["big:3", "big:1"]
    text = "x" * 12_000
    assert catalogue.find(f'description == "{text}" || description.contains("{text[:100]}")') == []
    assert catalogue.find(f"version in [{', '.join(map(str, range(2, 2500)))}]") == ["big:3", "big:2"]


def test_two_hundred_levels_are_answered_and_more_are_refused_where_they_begin(catalogue: Catalogue) -> None:
    assert catalogue.find("(" * 200 + "version == 2" + ")" * 200) == ["big:2"]
    assert catalogue.find("!" * 200 + "(version == 2)") == ["big:2"]
    assert catalogue.find("!" * 201 + "tags.reviewed") == ["big:2"]
    nested = "version == 2"
    for level in range(100):
        nested = f"({nested} || version == {level + 1000}) && version < 1000"
    assert catalogue.find(nested) == ["big:2"]
    chosen = "1"
    for level in range(200):
        chosen = f"version == {level} ? {level} : {chosen}"
    assert catalogue.find(f"({chosen}) == 2") == ["big:2"]
    assert catalogue.find(f"{'-' * 200}(version + 0) == 2") == ["big:2"]
    for deep in ("!" * 4000 + "true", "-" * 4000 + "version == 1", "1" + "+1" * 4000 + " == 2"):
        ((path, said),) = mistakes(catalogue.client, deep)
        assert "nested deeper than 250 levels" in said
        assert path.startswith("1:")
    ((_, said),) = mistakes(catalogue.client, "(" * 8000)
    assert "ends too early" in said


def test_what_is_longer_than_sixteen_kilobytes_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(wb.InvalidRequest) as error:
        list(catalogue.client.search("true" + " " * 20_000))
    assert [violation.path for violation in error.value.violations] == ["filter"]


def test_what_would_grow_without_bounds_is_refused(catalogue: Catalogue) -> None:
    chosen = "true"
    for _ in range(30):
        chosen = f"({chosen} ? version > 1 : version > 2)"
    with pytest.raises(wb.InvalidExpression, match="more than 4000 parts"):
        list(catalogue.client.search(chosen))
    lists = "true"
    for level in range(6):
        lists = f"datasets.exists(d{level}, {lists})"
    assert "4 deep" in mistakes(catalogue.client, lists)[0][1]


@pytest.mark.timeout(60)  # some parsers take longer than there is time
def test_a_missing_quote_is_found_in_one_pass(catalogue: Catalogue) -> None:
    for quote in ('"', "'", '"""', 'r"'):
        assert "a quote is missing" in mistakes(catalogue.client, quote + "\\a" * 5000)[0][1]


def test_numbers_beyond_all_measure_are_missing_and_break_nothing(catalogue: Catalogue) -> None:
    for condition in (
        "version * 1e308 * 1e308 > 0",
        "!(version * 1e308 * 1e308 > 0)",
        "version / 0 > 0",
        "version % 0 == 0",
        "9223372036854775807 * 9223372036854775807 + version < 0",
        "-9223372036854775807 - 9223372036854775807 > version",
    ):
        assert catalogue.find(condition) == []
    assert catalogue.find("version * 5e-324 * 5e-324 == 0") == ["small:1", "big:3", "big:2", "big:1"]
    assert catalogue.find("true", "version * 1e308 desc, version / 0") == ["small:1", "big:1", "big:3", "big:2"]


# -- SQL ----------------------------------------------------------------------------------------

INJECTIONS = (
    "'; DROP TABLE version; --",
    "' OR '1'='1",
    "\\'; SELECT pg_sleep(10); --",
    "$1 %s %(p0)s {a} {0}",
    "\"'`;",
    "x'y\"z\\",
    "100%",
    "/* */ -- \n",
)


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_texts_and_names_is_text(catalogue: Catalogue, text: str) -> None:
    said = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    assert catalogue.find(f"description == {said}") == []
    assert catalogue.find(f"tags[{said}] == {said} || params[{said}] > 1 || metrics[{said}] > 1") == []
    assert catalogue.find(f"environment.packages[{said}].contains({said}) || {said} in tags || {said} in aliases") == []
    assert catalogue.find(f"datasets.exists(d, d.name == {said}) || ref == {said} || model in [{said}]") == []
    assert catalogue.find(f"has(tags[{said}]) || description.startsWith({said})", f"tags[{said}] desc") == []
    assert catalogue.find("version > 0"), "everything is still there"


def test_sql_as_a_value_is_found_and_as_a_filter_is_no_filter(catalogue: Catalogue) -> None:
    assert catalogue.find('tags.x == "\'; DROP TABLE version; --"') == ["big:3"]
    assert catalogue.find("tags.x.endsWith('--') && tags.x.contains(\"' \") == false") == ["big:3"]
    for statement in ("1=1; DROP TABLE version", "true) OR (1=1", "version IN (SELECT 1)", "pg_sleep(1) == 1"):
        assert mistakes(catalogue.client, statement)
    for pattern in ("(a*)*b", "((a+)+)+$", "(.*)(.*)(.*)(.*)\\\\1"):
        assert catalogue.find(f'description.matches("{pattern}") && false') == []


# -- what people see ----------------------------------------------------------------------------


def test_the_command_line_marks_the_place(run_cli: RunCli, catalogue: Catalogue) -> None:
    refused = run_cli("search", "tags.größe_🦊 == 1")
    assert refused.code == 1
    assert refused.err.splitlines() == [
        "error: INVALID_EXPRESSION: filter is wrong at 1:8: 'ö' cannot stand here; an operator can",
        "    tags.größe_🦊 == 1",
        "           ^",
    ]
    refused = run_cli("search", 'tags["日本\t🦊"] ==\n  metics.a', "--order-by", "vrsion")
    assert refused.err.splitlines()[1:] == [
        "  filter 2:3: there is no metics; did you mean metrics? (a name that users chose stands behind where it is "
        "from: tags.metics, params.metics, metrics.metics)",
        "      metics.a",
        "      ^",
        "  order_by 1:1: there is no vrsion; did you mean version? (a name that users chose stands behind where it is "
        "from: tags.vrsion, params.vrsion, metrics.vrsion)",
        "    vrsion",
        "    ^",
    ]
    far = run_cli("search", f"{'true && ' * 40}tags.x = 1{' && true' * 40}")
    assert far.err.splitlines()[1] == f"    …{('true && ' * 40)[-43:]}tags.x = 1{(' && true' * 40)[:47]}…"
    assert far.err.splitlines()[2] == " " * 55 + "^"
    document = run_cli("search", "--json", "tags.x = 1")
    assert document.code == 1
    assert document.json["error"]["reason"] == "INVALID_EXPRESSION"
    assert document.json["error"]["violations"] == [{"path": "1:8", "message": "'=' is no operator; write =="}]


def test_the_server_refuses_what_no_client_sends(raw: RawClient, catalogue: Catalogue) -> None:
    for request in (
        versions_pb2.ListVersionsRequest(order_by="version," * 1000),
        versions_pb2.ListVersionsRequest(show_metrics=["m"] * 17),
        versions_pb2.ListVersionsRequest(page_size=1001),
    ):
        assert refused(lambda request=request: raw.versions.ListVersions(request)).reason == "INVALID_REQUEST"  # type: ignore[misc]
    refusal = refused(lambda: raw.versions.ListVersions(versions_pb2.ListVersionsRequest(filter="a\0b == 1")))
    assert (refusal.reason, refusal.violations[0][0]) == ("INVALID_EXPRESSION", "1:2")
    assert catalogue.find(f'model == "{BIG}" && ({OURS})') == ["big:3", "big:2", "big:1"]
