"""What a caller without a type checker gets wrong: a ``WeighbridgeError`` says what to give instead."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy
import pytest

import weighbridge as wb

NewModel = Callable[[], str]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(1000))
    return path


FAR = datetime(9999, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-1)))
CALLS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "a relation of another spelling": (
        lambda client, ref: client.begin("a.b.c", parent=wb.Parent(ref, "finetuned")),  # type: ignore[arg-type]
        "parents[0].relation: is 'finetuned'; it is one of fine-tuned, distilled, merged, quantized",
    ),
    "a version as parent": (
        lambda client, ref: client.begin("a.b.c", parent=client.version(ref)),
        "a Version is no parent; give its ref, '",
    ),
    "a tuple as parent": (
        lambda client, ref: client.begin("a.b.c", parent=[(ref, "distilled")]),
        "a tuple is no parent; give a reference, such as 'name:7', or wb.Parent(",
    ),
    "a number in a parent": (lambda client, ref: client.begin("a.b.c", parent=wb.Parent(7)), "this is a int"),  # type: ignore[arg-type]
    "datasets of dicts": (
        lambda client, ref: client.begin("a.b.c", datasets=[{"name": "x"}]),
        "datasets[0]: is a dict; give a wb.Dataset",
    ),
    "datasets of names": (
        lambda client, ref: client.begin("a.b.c", datasets=["x"]),
        "datasets[0]: is a str; give a wb.Dataset",
    ),
    "a list of tags": (lambda client, ref: client.begin("a.b.c", tags=["x"]), "mappings of names to values"),
    "a list of tags later": (lambda client, ref: client.update_version(ref, set_tags=["x"]), "mappings of names"),
    "a time in seconds": (
        lambda client, ref: client.log_metrics(ref, [wb.MetricPoint("auc", 0.9, time=123.0)]),  # type: ignore[arg-type]
        "metrics.auc: has the time '123.0', which is a float; give a datetime",
    ),
    "a time beyond all years": (
        lambda client, ref: client.log_metrics(ref, [wb.MetricPoint("auc", 0.9, time=FAR)]),
        "metrics.auc: has a time beyond the years 1 to 9999",
    ),
    "points as tuples": (
        lambda client, ref: client.log_metrics(ref, [("auc", 0.9)]),
        "points[0]: is a tuple; give a wb.MetricPoint",
    ),
    "one point": (lambda client, ref: client.log_metrics(ref, wb.MetricPoint("auc", 0.9)), "points is a list"),
    "a time as text": (lambda client, ref: client.events(since="2026-12-01"), "'2026-12-01' is a str"),
    "a day": (lambda client, ref: client.events(until=date(2026, 12, 1)), "'2026-12-01' is a date"),
    "no reference": (lambda client, ref: client.compare(ref, None), "a reference is text; this is a NoneType"),
    "a version as reference": (
        lambda client, ref: client.pull(client.version(ref)),
        "a reference is text; this is a Version: give its ref, '",
    ),
    "no filter": (lambda client, ref: client.search(None), "filter: is a NoneType, not text"),
    "no name": (lambda client, ref: client.versions(None), "a model name is text"),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_wrong_type_is_refused_with_what_to_give_instead(
    client: wb.Client, new_model: NewModel, weights: Path, case: str
) -> None:
    ref = client.push(new_model(), weights, capture=False).version.ref
    call, said = CALLS[case]
    with pytest.raises(wb.WeighbridgeError) as raised:
        call(client, ref)
    assert said in str(raised.value)


IN_BLOCK: dict[str, tuple[Callable[[Any], Any], str]] = {
    "metrics as pairs": (lambda version: version.log_metrics([("loss", 1)]), "a mapping of names to values"),
    "one tensor": (lambda version: version.set_signature(wb.TensorSpec("x")), "inputs is a list"),
    "tensors as names": (
        lambda version: version.set_signature(["x"]),
        "signature.inputs[0]: is a str; give a wb.TensorSpec",
    ),
    "a shape of one number": (
        lambda version: version.set_signature([], [wb.TensorSpec("y", "float32", 5)]),  # type: ignore[arg-type]
        "signature.outputs[0].shape: is a int; it is a list of lengths",
    ),
}


@pytest.mark.parametrize("case", IN_BLOCK)
def test_within_a_block_it_changes_nothing(client: wb.Client, new_model: NewModel, weights: Path, case: str) -> None:
    call, said = IN_BLOCK[case]
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        with pytest.raises(wb.WeighbridgeError) as raised:
            call(version)
        assert said in str(raised.value)
    assert version.result is not None
    assert client.version(version.result.version.ref).record == wb.Record()


def test_numbers_of_numpy_are_taken_wherever_a_number_is(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    lengths: Any = (numpy.int64(-1), numpy.int32(8))
    array: Any = numpy.array([-1, 4])
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        version.log_energy(kwh=numpy.float32(1.5), gco2e=numpy.int64(310))  # type: ignore[arg-type]
        version.set_signature([wb.TensorSpec("x", "float32", lengths)], [wb.TensorSpec("y", "", array)])
    assert version.result is not None
    ref = version.result.version.ref
    assert client.version(ref).record == wb.Record(
        signature=wb.Signature((wb.TensorSpec("x", "float32", (-1, 8)),), (wb.TensorSpec("y", "", (-1, 4)),)),
        energy=wb.Energy(1.5, 310.0),
    )
    tagged = client.update_version(ref, set_tags={"cost": numpy.float32(0.5)})  # type: ignore[dict-item]
    assert tagged.record is not None
    assert tagged.record.tags == {"cost": 0.5}


def test_a_time_without_a_zone_is_taken_as_before(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    ref = client.push(new_model(), weights, capture=False).version.ref
    client.log_metrics(ref, [wb.MetricPoint("auc", 0.9, time=datetime(2026, 10, 1, tzinfo=UTC))])
    assert list(client.events(model=ref.partition(":")[0], since=datetime(2000, 1, 1)))
