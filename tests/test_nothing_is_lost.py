"""At the edges nothing is lost, and the message is clear: large records, NaN and infinities.

What lies beside it: 20,001 files in test_bad_input, 20,000 in test_uploads, a million points in test_metric_curves,
what is captured and has no room in test_capture, any text in test_any_text, clocks
in test_clocks_that_jump.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given
from hypothesis import strategies as st

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, refused
from weighbridge._vendor.buf.validate import validate_pb2
from weighbridge.core.limits import RECORD_BYTES
from weighbridge.core.record_check import check_record
from weighbridge.core.record_form import check_record_bytes
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire import convert
from weighbridge_server.domain.registry.record_text import record_text

NewModel = Callable[[], str]
ROOM = RECORD_BYTES - len(record_text(wb.Record()))
"""Bytes of a description that fill a record."""
WHAT_TO_DO = "Push long texts and tables as files of the version"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Bytes that no server has."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(300_000))
    return path


def said_of(size_bytes: int) -> str:
    return f"the record is {size_bytes} bytes long; at most {RECORD_BYTES} are kept. {WHAT_TO_DO}"


def models_of(client: wb.Client) -> set[str]:
    return {model.name for model in client.models()}


# -- 64 KiB of metadata ------------------------------------------------------------------------------


def filled(over: int) -> dict[str, wb.Record]:
    """Records that take all the room and ``over`` bytes more, each by another part."""
    empty = {
        "description": wb.Record(),
        "tags": wb.Record(tags={"note": ""}),
        "params": wb.Record(params={"rate": 0.5, "rows": 7, "note": ""}),
        "datasets": wb.Record(datasets=tuple(wb.Dataset(f"d{n}", uri="u" * 2048) for n in range(30))),
    }
    records = {}
    for part, record in empty.items():
        emoji, rest = divmod(RECORD_BYTES - len(record_text(record).encode()) + over, len("🦊".encode()))
        text = "🦊" * emoji + "x" * rest
        if part == "tags":
            records[part] = replace(record, tags={**record.tags, "note": text})
        elif part == "params":
            records[part] = replace(record, params={**record.params, "note": text})
        else:
            records[part] = replace(record, description=text)
    return records


@pytest.mark.parametrize("part", filled(0))
def test_a_record_of_64_kib_is_kept_to_the_last_byte(
    client: wb.Client, new_model: NewModel, weights: Path, run_cli: RunCli, part: str
) -> None:
    record = filled(0)[part]
    assert len(record_text(record).encode()) == RECORD_BYTES
    ref = client.push(new_model(), weights, capture=False, **given_of(record)).version.ref
    assert client.version(ref).record == record
    document = run_cli("show", ref, "--json").json
    assert (document["description"], document["params"], document["tags"]) == (
        record.description,
        record.params,
        record.tags,
    )
    assert [wb.Dataset(**dataset) for dataset in document["datasets"]] == list(record.datasets)


@pytest.mark.parametrize("part", filled(1))
def test_one_byte_more_is_refused_before_anything_is_sent(
    client: wb.Client, server: RunningServer, new_model: NewModel, weights: Path, part: str
) -> None:
    model, record = new_model(), filled(1)[part]
    with pytest.raises(wb.LimitExceeded) as sdk:
        # With doubles only the server can tell: they are a byte or two shorter in canonical JSON than in Python's.
        client.push(model, weights, capture=False, **given_of(record))
    with RawClient(server.address) as raw:
        request = versions_pb2.BeginVersionRequest(model=model, record=convert.record_message(record))
        by_server = refused(lambda: raw.versions.BeginVersion(request))
    assert by_server.reason == "LIMIT_EXCEEDED"
    assert sdk.value.message == said_of(RECORD_BYTES + 1)
    assert sdk.value.details == {"limit": str(RECORD_BYTES), "actual": str(RECORD_BYTES + 1)}
    assert model not in models_of(client), "the refused push registered the model"
    fresh = client.push(model, weights, capture=False)
    assert fresh.chunks_sent == fresh.chunks_total, "the refused push brought weights"


def given_of(record: wb.Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("description", "params", "tags", "datasets")}


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.floats(allow_nan=False, allow_infinity=False))
)
def test_the_sdk_refuses_nothing_that_the_server_would_keep(params: dict[str, float]) -> None:
    record = wb.Record(params=params, energy=wb.Energy(kwh=1e-7, gco2e=-0.0))
    room = RECORD_BYTES - len(record_text(record).encode())
    check_record_bytes(replace(record, description="x" * room))
    with pytest.raises(wb.LimitExceeded):
        check_record_bytes(replace(record, description="x" * (room + 1 + 20 * (len(params) + 2))))


def test_what_has_no_room_is_refused_while_training_runs_and_the_version_is_made(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    """At the commit it would be too late: the weights of days would go with the block."""
    with client.begin(new_model(), capture=False, params={"rows": 7}) as version:
        version.add(weights)
        too_much: list[Callable[[], None]] = [
            lambda: version.log_params(notes="x" * RECORD_BYTES),
            lambda: version.set_tags(notes="x" * RECORD_BYTES),
            lambda: version.describe("x" * (ROOM + 1)),
        ]
        for change in too_much:
            with pytest.raises(wb.LimitExceeded, match=WHAT_TO_DO):
                change()
        too_long: list[Callable[[], None]] = [
            lambda: version.add_dataset("d", uri="x" * 2049),
            lambda: version.log_energy(kwh=1, method="x" * 257),
            lambda: version.set_signature([wb.TensorSpec("x", "y" * 65)]),
            lambda: version.set_signature([wb.TensorSpec("x", shape=[1] * 65)]),
        ]
        for change in too_long:
            with pytest.raises(wb.InvalidRequest) as refusal:
                change()
            assert ["at most" in item.message for item in refusal.value.violations] == [True]
        version.set_tags(kept=True)
        version.log_metric("loss", 0.5)
    assert version.result is not None
    kept = client.version(version.result.version.ref)
    assert kept.record == wb.Record(params={"rows": 7}, tags={"kept": True})
    assert [metric.latest for metric in kept.metrics or ()] == [0.5]


def bounds(message: Descriptor) -> dict[str, int]:
    """The texts of a message that the contract bounds, and by how many bytes."""
    rules = {field.name: field.GetOptions().Extensions[validate_pb2.field].string for field in message.fields}  # type: ignore[attr-defined]
    return {name: rule.max_bytes for name, rule in rules.items() if rule.HasField("max_bytes")}


def with_text(message: str, field: str, text: str) -> wb.Record:
    """A record that has this text in this field."""
    match message:
        case "Dataset":
            return wb.Record(datasets=(wb.Dataset(**{"name": "d", field: text}),))
        case "Parent":
            return wb.Record(parents=(wb.Parent(text),))
        case "SourceCode":
            return wb.Record(source=wb.SourceCode(**{field: text}))  # type: ignore[arg-type]
        case "Accelerator":
            return wb.Record(environment=wb.Environment(accelerators=(wb.Accelerator(text),)))
        case "TensorSpec":
            return wb.Record(signature=wb.Signature((wb.TensorSpec(**{"name": "x", field: text}),)))  # type: ignore[arg-type]
        case _:
            return wb.Record(energy=wb.Energy(**{field: text}))  # type: ignore[arg-type]


@pytest.mark.parametrize("message", ["Dataset", "Parent", "SourceCode", "Accelerator", "TensorSpec", "Energy"])
def test_the_sdk_holds_texts_to_the_bounds_of_the_contract(message: str) -> None:
    bounded = bounds(records_pb2.DESCRIPTOR.message_types_by_name[message])
    assert bounded
    for field, most in bounded.items():
        check_record(with_text(message, field, "x" * most))
        with pytest.raises(wb.InvalidRequest) as refusal:
            check_record(with_text(message, field, "é" * (most // 2) + "x"))
        assert [str(most) in item.message for item in refusal.value.violations] == [True], field


def test_a_record_that_is_full_takes_no_more_tags_later(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    ref = client.push(new_model(), weights, capture=False, description="x" * ROOM).version.ref
    before = client.version(ref)
    with pytest.raises(wb.LimitExceeded) as refusal:
        client.update_version(ref, set_tags={"one": "more"})
    assert refusal.value.message == said_of(RECORD_BYTES + len('"one":{"string":"more"}'))
    assert client.version(ref) == before


# -- NaN and infinities ------------------------------------------------------------------------------

WILD = {"diverged": math.nan, "up": math.inf, "down": -math.inf, "tame": 0.5}
PLAIN = {"diverged": "NaN", "up": "Infinity", "down": "-Infinity", "tame": 0.5}
"""As JSON, which has neither NaN nor infinities, and as protobuf writes them there."""


@pytest.fixture
def wild(run_cli: RunCli, new_model: NewModel, weights: Path) -> str:
    """The name of a model: what its first version measured was wild, and a second was tame."""
    model = new_model()
    flags = [f"--metric={name}={value}" for name, value in WILD.items()]
    assert run_cli("push", model, weights, *flags).code == 0
    assert run_cli("push", model, weights, *(f"--metric={name}=1" for name in WILD)).code == 0
    return model


def test_wild_metrics_are_read_as_they_were_logged(client: wb.Client, wild: str) -> None:
    latest = {metric.name: metric.latest for metric in client.version(f"{wild}:1").metrics or ()}
    assert repr(latest) == repr(dict(sorted(WILD.items())))
    curves = client.metrics(f"{wild}:1")
    assert {name: repr(curve.values.tolist()) for name, curve in curves.items()} == {
        name: repr([value]) for name, value in WILD.items()
    }


@pytest.mark.long
def test_json_has_them_as_text_everywhere(run_cli: RunCli, wild: str) -> None:
    shown = run_cli("show", f"{wild}:1", "--json").json
    assert shown["metrics"] == PLAIN
    assert {name: summary["latest"] for name, summary in shown["metric_summaries"].items()} == PLAIN
    listed = run_cli("metrics", f"{wild}:1", "--points", "0", "--json").json["metrics"]
    assert {item["name"]: item["values"] for item in listed} == {name: [value] for name, value in PLAIN.items()}
    compared = run_cli("compare", f"{wild}:1", f"{wild}:2", "--json").json["metrics"]
    assert {item["name"]: item["values"] for item in compared} == {name: [value, 1.0] for name, value in PLAIN.items()}
    flags = [f"--metric={name}" for name in WILD]
    found = run_cli("search", "version == 1", "--model", wild, *flags, "--json").json["versions"]
    assert [version["metrics"] for version in found] == [PLAIN]


def test_people_see_them(run_cli: RunCli, wild: str) -> None:
    for arguments in (
        ("show", f"{wild}:1"),
        ("metrics", f"{wild}:1"),
        ("compare", f"{wild}:1", f"{wild}:2"),
        ("search", "version == 1", "--model", wild, *(f"--metric={name}" for name in WILD)),
    ):
        ran = run_cli(*arguments)
        assert ran.code == 0
        assert {"nan", "inf", "-inf"} <= set(ran.out.split()), arguments


def test_search_compares_them_as_numbers(client: wb.Client, wild: str) -> None:
    def found(condition: str) -> list[int]:
        return sorted(version.version for version in client.search(condition, model=wild))

    assert found("metrics.up > 1.7e308") == [1]
    assert found("metrics.down < -1.7e308") == [1]
    assert found("metrics.diverged >= 0.0 || metrics.diverged < 0.0") == [2], "NaN is neither"
    assert found("metrics.diverged != metrics.diverged") == [1]
    assert found("has(metrics.diverged)") == [1, 2]
    ordered = [version.version for version in client.search(order_by="metrics.diverged desc", model=wild)]
    assert ordered == [2, 1], "NaN is no best value"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 2**53, -(2**53)])
def test_a_param_or_tag_that_is_no_number_for_every_reader_is_refused_with_its_place(
    client: wb.Client, new_model: NewModel, weights: Path, wrong: float
) -> None:
    model = new_model()
    with pytest.raises(wb.InvalidRequest) as pushed:
        client.push(model, weights, params={"fine": 1, "lr": wrong}, tags={"cost center": wrong})
    assert [item.path for item in pushed.value.violations] == ["params.lr", "tags.cost center"]
    assert all("text" in item.message for item in pushed.value.violations), "it says what can be done"
    assert model not in models_of(client)
    ref = client.push(model, weights, params={"lr": str(wrong)}).version.ref
    with pytest.raises(wb.InvalidRequest) as updated:
        client.update_version(ref, set_tags={"lr": wrong})
    assert [item.path for item in updated.value.violations] == ["set_tags.lr"]
    version = client.version(ref)
    assert version.record is not None
    assert (version.record.params, version.record.tags) == ({"lr": str(wrong)}, {})


@pytest.mark.parametrize("typed", ["nan", "NaN", "inf", "-inf", "Infinity", "-Infinity"])
def test_a_param_that_is_typed_so_is_text_as_json_has_no_such_number(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, weights: Path, typed: str
) -> None:
    ref = run_cli("push", "-q", new_model(), weights, "--param", f"lr={typed}", "--tag", f"t={typed}").out.strip()
    record = client.version(ref).record
    assert record is not None
    assert (record.params, record.tags) == ({"lr": typed}, {"t": typed})
    assert run_cli("version", "tag", ref, "--", f"later={typed}").code == 0
    assert run_cli("show", ref, "--json").json["tags"] == {"t": typed, "later": typed}


@pytest.mark.parametrize("typed", ["1e999", "-1e999"])
def test_a_number_that_no_double_holds_is_refused_as_a_param_and_infinite_as_a_metric(
    run_cli: RunCli, new_model: NewModel, weights: Path, typed: str
) -> None:
    model = new_model()
    ran = run_cli("push", model, weights, "--param", f"lr={typed}")
    assert (ran.code, ran.out) == (1, "")
    assert "params.lr: is " in ran.err
    assert "only finite numbers" in ran.err
    ref = run_cli("push", "-q", model, weights, "--metric", f"loss={typed}").out.strip()
    infinite = "-Infinity" if typed.startswith("-") else "Infinity"
    assert run_cli("show", ref, "--json").json["metrics"] == {"loss": infinite}
