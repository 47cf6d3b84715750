"""Comparing versions from end to end: the real server, the SDK, and the command line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, refused
from weighbridge.core.errors import BY_REASON
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert

NewModel = Callable[[], str]
HOSTILE = "a\x1b[31mred\r\x07\x9b2J\u202eback\nline"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files to push."""
    path = tmp_path / "weights"
    path.mkdir()
    (path / "a.bin").write_bytes(os.urandom(50_000))
    (path / "b.bin").write_bytes(os.urandom(3_000_000))
    return path


@pytest.fixture
def pair(client: wb.Client, new_model: NewModel, folder: Path) -> tuple[str, str]:
    """Two versions, the second of which is worse, from other data, with one file changed and one added."""
    model = new_model()
    tags: dict[str, wb.Scalar] = {"dataset_version": "2026-09", "owner": "ada"}
    first = client.push(
        model,
        folder,
        params={"lr": 0.001, "layers": 12, "amp": True},
        tags=tags,
        metrics={"auc": 0.93, "loss": 0.3, "latency_ms": 12.0},
        datasets=[wb.Dataset("transactions", "2026-09", role="train")],
        description="the first",
        capture=False,
    )
    (folder / "a.bin").write_bytes(b"other")
    (folder / "c.bin").write_bytes(b"new")
    second = client.push(
        model,
        folder,
        parent=first.version.ref,
        params={"lr": 0.01, "layers": 12, "warmup": 100},
        tags={**tags, "dataset_version": "2026-10"},
        metrics={"auc": 0.91, "loss": 0.25, "f1": math.nan},
        datasets=[wb.Dataset("transactions", "2026-10", role="train")],
        description="the second",
        capture=False,
    )
    return first.version.ref, second.version.ref


# -- the SDK ---------------------------------------------------------------------------------------


def test_how_two_versions_differ(client: wb.Client, pair: tuple[str, str]) -> None:
    comparison = client.compare(*pair)
    assert [version.ref for version in comparison.versions] == list(pair)
    assert {(version.record, version.metrics) for version in comparison.versions} == {(None, None)}
    told = {metric.name: (metric.lower_is_better, metric.better[1]) for metric in comparison.metrics}
    assert told == {"auc": (False, False), "f1": (False, None), "latency_ms": (True, None), "loss": (True, True)}
    auc = comparison.metrics[0]
    assert auc.differences == (0.0, pytest.approx(-0.02))
    summary = auc.values[1]
    assert summary is not None
    assert (summary.name, summary.latest, summary.points) == ("auc", 0.91, 1)
    assert comparison.metrics[1].values[0] is None
    assert [(field.name, field.values, field.differs) for field in comparison.params] == [
        ("amp", (True, None), True),
        ("layers", (12, 12), False),
        ("lr", (0.001, 0.01), True),
        ("warmup", (None, 100), True),
    ]
    assert [(field.name, field.differs) for field in comparison.tags] == [("dataset_version", True), ("owner", False)]
    assert [field.values for field in comparison.datasets] == [("2026-09", "2026-10")]
    assert [(field.name, field.values) for field in comparison.parents] == [(pair[0], (None, "fine-tuned"))]
    assert comparison.description.values == ("the first", "the second")
    assert [(file.path.rpartition("/")[2], file.sizes) for file in comparison.files] == [
        ("a.bin", (50_000, 5)),
        ("c.bin", (None, 3)),
    ]
    assert comparison.file_counts == (wb.FileCounts(), wb.FileCounts(added=1, changed=1))
    assert comparison.shared_bytes == (3_050_000, 3_000_000)
    (suspects,) = comparison.suspects
    assert (suspects.version_index, suspects.metrics) == (1, ("auc",))
    assert list(suspects.changes) == [wb.SuspectKind.DATA, wb.SuspectKind.PARAMETERS, wb.SuspectKind.PARENTS]
    assert suspects.not_recorded == (wb.SuspectKind.CODE, wb.SuspectKind.ENVIRONMENT)


def test_a_version_beside_itself(client: wb.Client, pair: tuple[str, str]) -> None:
    comparison = client.compare(pair[1], pair[1], pair[1].rpartition(":")[0])
    assert comparison.files == ()
    assert comparison.suspects == ()
    assert len(set(comparison.shared_bytes)) == 1
    assert {metric.better for metric in comparison.metrics} == {(None, None, None)}
    assert not [field for field in comparison.params if field.differs]


def test_a_caller_says_which_way_is_better(client: wb.Client, pair: tuple[str, str]) -> None:
    turned = client.compare(*pair, lower_is_better=["auc"], higher_is_better=["loss"])
    assert {metric.name: metric.better[1] for metric in turned.metrics if metric.better[1] is not None} == {
        "auc": True,
        "loss": False,
    }
    assert [suspects.metrics for suspects in turned.suspects] == [("loss",)]


def test_what_is_captured_unasked_is_compared(client: wb.Client, new_model: NewModel, folder: Path) -> None:
    model = new_model()
    refs = [client.push(model, folder, metrics={"auc": auc}).version.ref for auc in (0.9, 0.8)]
    comparison = client.compare(*refs)
    assert "python" in [field.name for field in comparison.environment]
    assert comparison.packages == ()
    (suspects,) = comparison.suspects
    assert dict(suspects.changes) == {}
    assert wb.SuspectKind.ENVIRONMENT not in suspects.not_recorded


def test_versions_of_two_models(client: wb.Client, new_model: NewModel, folder: Path) -> None:
    refs = [client.push(new_model(), folder, capture=False).version.ref for _ in range(2)]
    comparison = client.compare(*refs)
    assert comparison.shared_bytes == (3_050_000, 3_050_000)
    assert comparison.files == ()


@pytest.mark.parametrize(
    ("refs", "options", "error"),
    [
        ((), {}, wb.UsageError),
        (("a.b.c",), {}, wb.UsageError),
        (("a.b.c",) * 17, {}, wb.UsageError),
        (("a.b.c", "no name!"), {}, wb.InvalidName),
        (("a.b.c", "a.b.c:x"), {}, wb.InvalidReference),
        (("a.b.c", "a.b.c"), {"lower_is_better": "auc"}, wb.UsageError),
        (("a.b.c", "a.b.c"), {"lower_is_better": ["auc"], "higher_is_better": ["auc"]}, wb.InvalidRequest),
        (("no.such.model", "no.such.model"), {}, wb.ModelNotFound),
    ],
)
def test_what_cannot_be_compared(
    client: wb.Client, refs: tuple[str, ...], options: dict[str, Any], error: type[wb.WeighbridgeError]
) -> None:
    with pytest.raises(error):
        client.compare(*refs, **options)


def test_the_server_checks_by_itself(server: RunningServer, pair: tuple[str, str]) -> None:
    def refusal(**fields: Any) -> str:
        request = versions_pb2.CompareVersionsRequest(**fields)
        reason = refused(lambda: raw.versions.CompareVersions(request)).reason
        assert reason in BY_REASON
        return reason

    with RawClient(server.address) as raw:
        assert refusal(refs=pair[:1]) == "INVALID_REQUEST"
        assert refusal(refs=pair * 9) == "INVALID_REQUEST"
        assert refusal(refs=pair, lower_is_better=["auc"], higher_is_better=["auc"]) == "INVALID_REQUEST"
        assert refusal(refs=(pair[0], "no name!")) == "INVALID_NAME"
        assert refusal(refs=(pair[0], f"{pair[0]}9")) == "VERSION_NOT_FOUND"


def test_an_answer_whose_lists_do_not_fit_is_refused(client: wb.Client, pair: tuple[str, str]) -> None:
    whole = convert.comparison_message(client.compare(*pair))
    assert convert.comparison_message(convert.comparison_value(whole)) == whole
    for damage in ("params[0].values", "metrics[0].values", "files[0].values", "shared_bytes", "file_counts"):
        message = versions_pb2.Comparison.FromString(whole.SerializeToString())
        field, _, rest = damage.partition("[0].")
        part = getattr(message, field)
        del (getattr(part[0], rest) if rest else part)[0]
        with pytest.raises(wb.DataLoss):
            convert.comparison_value(message)
    whole.suspects[0].version_index = 2
    with pytest.raises(wb.DataLoss):
        convert.comparison_value(whole)


# -- the command line --------------------------------------------------------------------------------


def test_the_tables_say_what_differs_and_the_suspects_come_last(run_cli: RunCli, pair: tuple[str, str]) -> None:
    ran = run_cli("compare", *pair)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    model = pair[0].rpartition(":")[0]
    assert lines[0] == f"{model}: :2 beside :1"
    rows = [line.split() for line in lines]
    assert ["auc", "higher", "0.93", "0.91", "-0.02", "worse"] in rows
    assert ["loss", "lower", "0.3", "0.25", "-0.05", "better"] in rows
    assert ["f1", "higher", "-", "nan", "-", "added"] in rows
    assert ["latency_ms", "lower", "12", "-", "-", "removed"] in rows
    assert ["lr", "0.001", "0.01"] in rows
    assert ["amp", "true", "-"] in rows
    assert ["dataset_version", "2026-09", "2026-10"] in rows
    assert "layers" not in ran.out
    assert "owner" not in ran.out
    assert "files of :2: 1 added, 1 changed; 3.0 MB of 3.0 MB (99.9 %) shared with :1" in lines
    assert any(row[-4:] == ["50.0", "kB", "5", "B"] or row[-1:] == ["changed"] for row in rows)
    why = lines.index("why auc may be worse in :2")
    assert lines[why + 1].split() == ["data", "dataset", "transactions", "(train)", "2026-09", "->", "2026-10"]
    assert lines[-1].split()[:2] == ["not", "recorded"]
    everything = run_cli("compare", *pair, "--all").out
    assert "layers" in everything
    assert "owner" in everything


def test_three_versions_stand_below_each_other(run_cli: RunCli, pair: tuple[str, str]) -> None:
    rows = [line.split() for line in run_cli("compare", *pair, pair[0]).out.splitlines()]
    assert ["A", pair[0], "development"] in [row[:3] for row in rows]
    assert ["auc", "higher", "A", "0.93"] in rows
    assert ["B", "0.91", "-0.02", "worse"] in rows
    assert ["C", "0.93", "0", "same"] in rows
    assert ["lr", "A", "C", "0.001"] in rows
    assert ["B", "0.01"] in rows


def test_nothing_differs(run_cli: RunCli, pair: tuple[str, str]) -> None:
    ran = run_cli("compare", pair[0], pair[0])
    assert ran.code == 0
    assert ran.out.endswith("\n\nnothing differs\n")


def test_same_bytes_measured_worse(run_cli: RunCli, client: wb.Client, new_model: NewModel, folder: Path) -> None:
    model = new_model()
    for auc in (0.9, 0.8):
        client.push(model, folder, metrics={"auc": auc}, params={"lr": 1}, capture=False)
    out = run_cli("compare", f"{model}:1", f"{model}:2").out
    assert "both hold the same files: what differs is how they were measured" in out
    assert "that was recorded changed: chance" in out
    assert "data, code, environment: cannot be ruled out" in out


def test_json_has_one_shape(run_cli: RunCli, pair: tuple[str, str]) -> None:
    ran = run_cli("compare", *pair, "--json")
    document = ran.json
    assert list(document) == [
        *("versions", "description", "metrics", "params", "tags", "datasets", "parents", "source", "environment"),
        *("packages", "energy", "signature", "files", "file_counts", "shared_bytes", "suspects"),
        *("metrics_left_out", "files_left_out"),
    ]
    assert [version["ref"] for version in document["versions"]] == list(pair)
    auc = document["metrics"][0]
    assert (auc["name"], auc["lower_is_better"], auc["values"], auc["better"]) == (
        "auc",
        False,
        [0.93, 0.91],
        [None, False],
    )
    assert document["metrics"][1]["values"] == [None, "NaN"]
    assert document["params"][0] == {"name": "amp", "values": [True, None], "differs": True}
    assert document["files"][1]["sizes_bytes"] == [None, 3]
    assert document["files"][1]["roots"][0] is None
    assert document["file_counts"][1] == {"added": 1, "removed": 0, "changed": 1}
    assert document["suspects"] == [
        {
            "ref": pair[1],
            "version_index": 1,
            "metrics": ["auc"],
            "changes": document["suspects"][0]["changes"],
            "not_recorded": ["code", "environment"],
        }
    ]
    assert [found["kind"] for found in document["suspects"][0]["changes"]] == ["data", "parameters", "parents"]


def test_quiet_names_what_is_worse(run_cli: RunCli, pair: tuple[str, str]) -> None:
    assert run_cli("compare", "-q", *pair).out == f"{pair[1]}\n"
    assert run_cli("compare", "-q", *pair, "--lower", "auc").out == ""


def test_a_slip_in_a_metrics_name_is_said(run_cli: RunCli, pair: tuple[str, str]) -> None:
    ran = run_cli("compare", *pair, "--lower", "acu", "--higher", "loss", "--json")
    assert (ran.code, ran.err) == (0, "note: none of these versions has a metric 'acu'\n")
    assert [found["metrics"] for found in ran.json["suspects"]] == [["auc", "loss"]]
    refused = run_cli("compare", *pair, "--lower", "auc", "--higher", "auc")
    assert refused.code == 1
    assert "lower_is_better.auc: is in higher_is_better too" in refused.err


def test_the_page_has_the_curves(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, folder: Path, tmp_path: Path
) -> None:
    model = new_model()
    for scale in (1.0, 2.0):
        with client.begin(model, capture=False) as version:
            for step in range(100):
                version.log_metric("loss", scale / (step + 1), step=step)
            version.add(folder)
    file = tmp_path / "page.html"
    ran = run_cli("compare", f"{model}:1", f"{model}:2", "--html", file, "--json")
    assert ran.json["suspects"][0]["metrics"] == ["loss"]
    text = file.read_text()
    assert text.startswith("<!doctype html>")
    assert text.count('class="curve v1"') == 3  # the line, that of the logarithmic chart, and in the legend
    assert "100 points" in text
    written = run_cli("compare", f"{model}:1", f"{model}:2", "--html", file)
    assert written.out.startswith(f"compared in {file}\n")
    assert run_cli("compare", f"{model}:1", f"{model}:2", "--html", "-").out == text
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".page")]


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_asked(
    run_cli: RunCli, pair: tuple[str, str], tmp_path: Path
) -> None:
    for place, said in ((tmp_path, "is a folder; name a file"), (tmp_path / "no" / "x.html", "there is no folder")):
        ran = run_cli("compare", *pair, "--html", place, address="127.0.0.1:1")
        assert ran.code == 1
        assert ran.err.startswith("error: DESTINATION_UNWRITABLE: ")
        assert said in ran.err
    ran = run_cli("compare", *pair, "--html", "-", "--json")
    assert ran.code == 2
    assert run_cli("compare").code == 2
    assert run_cli("compare", pair[0]).err == "error: USAGE: comparing takes 2 to 16 references; it was given 1\n"


def test_hostile_text_is_shown_not_obeyed(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, folder: Path, tmp_path: Path
) -> None:
    model = new_model()
    for number in range(2):
        client.push(
            model,
            folder,
            params={HOSTILE: f"{HOSTILE}{number}"},
            tags={HOSTILE: number},
            metrics={HOSTILE: -number},
            datasets=[wb.Dataset(HOSTILE, f"{number}")],
            description=f"{HOSTILE}{number}",
            capture=False,
        )
    refs = (f"{model}:1", f"{model}:2")
    for arguments in (refs, (*refs, refs[0]), (*refs, "--html", str(tmp_path / "x.html")), (*refs, "--json")):
        ran = run_cli("compare", *arguments)
        assert ran.code == 0
        assert not set("\x1b\r\x07\x9b\u202e") & set(ran.out + ran.err)
    assert json.loads(run_cli("compare", *refs, "--json").out)["params"][0]["name"] == HOSTILE
