"""Any text is kept as it was given, in every field, and no terminal obeys it; what is no text is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from alias_fixtures import TAGS
from conftest import RunCli, RunningServer
from raw_client import RawClient, file_of, manifest_of, raw_chunk
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire import convert

NewModel = Callable[[], str]
SHORT = "שלום\u202e🦊e\u0301\x1b[31m\u2028"
"""Within the 64 bytes of the shortest fields."""
ANY = f" {SHORT}é 👩\u200d👩\u200d👧\u200f\u2029\u2066\t\r\n\x07\x7f\x9b\ufeff\uffff\U0010ffff 層 \"'\\%s{{x}}$(y)&<b> "
"""Right to left, combining, joined, beyond the first plane, turning, controlling, quoting, and blanks around it."""
FILE = f"folder/{ANY.replace(chr(92), '')}"
UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""All that a terminal must not get; the line break is the one that ends our lines."""
REASON = f"{ANY}reason"


def everywhere() -> wb.Record:
    """A record that has it in every text."""
    digest = "b3:" + "01" * 32
    return wb.Record(
        description=ANY,
        params={ANY: ANY, "empty": "", SHORT: 1, "e\u0301": "decomposed", "é": "composed"},
        tags={ANY: ANY},
        datasets=(wb.Dataset(ANY, ANY, ANY, ANY, SHORT),),
        source=wb.SourceCode(ANY, ANY, ANY, True, digest, digest, ANY, (ANY, "", SHORT)),
        environment=wb.Environment(
            python=ANY,
            implementation=ANY,
            os=ANY,
            platform=ANY,
            cpu=ANY,
            accelerators=(wb.Accelerator(ANY, 1, ANY),),
            container_image=ANY,
            packages={ANY: ANY},
            lock_file=ANY,
            host=ANY,
            user=ANY,
        ),
        signature=wb.Signature((wb.TensorSpec(ANY, SHORT),), (wb.TensorSpec(SHORT),)),
        energy=wb.Energy(1.0, region=ANY, method=ANY),
    )


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> str:
    """Who this process and the CLI's say that they are."""
    monkeypatch.setenv("LOGNAME", ANY)
    return f"unauthenticated:{ANY}"


@pytest.fixture
def own_client(actor: str, server: RunningServer) -> Iterator[wb.Client]:
    """A client of the one of that name."""
    with server.connect() as client:
        yield client


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def recorded(server: RunningServer, own_client: wb.Client, new_model: NewModel) -> tuple[str, wb.Record]:
    """A version that has it in every text, the path of its file and the name of a metric among them."""
    record = everywhere()
    entry, chunks = file_of(FILE, b"weights")
    with RawClient(server.address) as raw:
        upload_id = raw.begin(raw.create(new_model()))
        raw.send(upload_id, raw_chunk(b"weights"))
        raw.put(upload_id, entry, chunks)
        request = versions_pb2.CommitVersionRequest(
            upload_id=upload_id,
            manifest_digest=manifest_of(entry),
            record=convert.record_message(record),
            metrics=[records_pb2.MetricPoint(name=ANY, value=0.5)],
        )
        return raw.versions.CommitVersion(request).ref, record


def unfit(run_cli: RunCli, *arguments: str) -> str:
    """What a command wrote that no terminal should get."""
    ran = run_cli(*arguments)
    assert ran.code == 0, ran.err
    return "".join(UNFIT.findall(ran.out + ran.err))


def test_the_sdk_reads_every_text_as_it_was_recorded(own_client: wb.Client, recorded: tuple[str, wb.Record]) -> None:
    ref, record = recorded
    version = own_client.version(ref)
    assert version.record == record
    assert [metric.name for metric in version.metrics or ()] == [ANY]
    assert list(own_client.metrics(ref)) == [ANY]
    assert [file.path for file in own_client.files(ref)] == [FILE]


def test_json_has_every_text_as_it_was_recorded(run_cli: RunCli, recorded: tuple[str, wb.Record]) -> None:
    ref, record = recorded
    document = run_cli("show", ref, "--json").json
    for part in ("description", "params", "tags"):
        assert document[part] == getattr(record, part)
    for part in ("source", "environment", "signature", "energy"):
        assert document[part] == json.loads(json.dumps(asdict(getattr(record, part))))
    assert document["datasets"] == [asdict(dataset) for dataset in record.datasets]
    assert document["metrics"] == {ANY: 0.5}
    assert [file["path"] for file in document["files"]] == [FILE]
    (metric,) = run_cli("metrics", ref, ANY, "--json").json["metrics"]
    assert metric["name"] == ANY
    compared = run_cli("compare", ref, ref, "--json").json
    assert {item["name"]: item["values"][0] for item in compared["tags"]} == record.tags


@pytest.mark.long
def test_no_terminal_gets_what_it_would_obey(run_cli: RunCli, recorded: tuple[str, wb.Record]) -> None:
    ref, _ = recorded
    model = ref.partition(":")[0]
    for arguments in (
        ("show", ref),
        ("metrics", ref),
        ("metrics", ref, "--csv"),
        ("compare", ref, ref),
        ("versions", model),
        ("lineage", ref),
        ("lineage", ref, "--dot"),
        ("search", "", "--model", model, "--metric", ANY),
        ("resolve", ref),
    ):
        assert unfit(run_cli, *arguments) == "", arguments
        if "--csv" not in arguments and "--dot" not in arguments:
            assert unfit(run_cli, *arguments, "--json") == "", arguments


def test_search_finds_it_by_the_very_text_and_by_no_other(
    own_client: wb.Client, recorded: tuple[str, wb.Record]
) -> None:
    ref, _ = recorded
    model = ref.partition(":")[0]

    def found(condition: str) -> list[str]:
        return [version.ref for version in own_client.search(condition, model=model)]

    any_text = '"' + "".join(f"\\U{ord(char):08x}" for char in ANY) + '"'
    assert found(f"tags[{any_text}] == {any_text}") == [ref]
    assert found(f"metrics[{any_text}] == 0.5") == [ref]
    assert found(f"datasets.exists(d, d.name == {any_text})") == [ref]
    assert found(f"description == {any_text}") == [ref]
    assert found(f"description == {any_text.rstrip(chr(34))}x{chr(34)}") == []
    assert found('params["e\u0301"] == "decomposed"') == found('params["é"] == "composed"') == [ref]
    assert found('params["e\u0301"] == "composed"') == []


@pytest.mark.long
def test_what_is_said_and_who_said_it_comes_back(
    own_client: wb.Client, actor: str, run_cli: RunCli, new_model: NewModel, weights: Path
) -> None:
    client, model = own_client, new_model()
    texts = dict.fromkeys(("owner", "team", "contact", "description", "card"), ANY)
    assert client.create_model(model, **texts).creator == actor
    shown = run_cli("model", "show", model, "--json").json
    assert {field: shown[field] for field in (*texts, "creator")} == {**texts, "creator": actor}
    for _ in range(2):
        client.push(model, weights, tags=TAGS, capture=False)
    changed = client.update_version(f"{model}:1", set_tags={ANY: ANY}, description=ANY).record
    assert changed is not None
    assert (changed.tags[ANY], changed.description) == (ANY, ANY)
    for number in (1, 2):
        client.set_alias(model, "champion", number, reason=REASON)
        for stage in (wb.Stage.STAGING, wb.Stage.PRODUCTION):
            client.promote(f"{model}:{number}", stage, reason=REASON)
    client.rollback(f"{model}@champion", reason=REASON)
    client.delete_alias(model, "champion", reason=REASON)
    assert {(move.reason, move.actor) for move in client.alias_history(f"{model}@champion")} == {(REASON, actor)}
    assert {(alias.reason, alias.actor) for alias in client.aliases(model)} == {(REASON, actor)}
    moves = run_cli("alias", "history", f"{model}@champion", "--json").json["moves"]
    assert {(move["reason"], move["actor"]) for move in moves} == {(REASON, actor)}
    client.promote(f"{model}:2", wb.Stage.ARCHIVED, reason=REASON)
    deletion = client.delete_version(f"{model}:2", reason=REASON).deletion
    assert deletion is not None
    assert (deletion.reason, deletion.actor) == (REASON, actor)
    with pytest.raises(wb.VersionDeleted) as told:
        client.version(f"{model}:2")
    assert REASON in told.value.message
    deletion = client.delete_model(model, reason=REASON).deletion
    assert deletion is not None
    assert (deletion.reason, deletion.actor) == (REASON, actor)
    client.restore_model(model)
    assert {event.actor for event in client.events(model=model)} == {actor}
    (gone,) = client.events(resource=model, action="model.deleted")
    assert json.loads(gone.after)["deletion"] == {"actor": actor, "reason": REASON}
    listed = run_cli("journal", "list", "--model", model, "--actor", actor, "--json").json["events"]
    assert {event["actor"] for event in listed} == {actor}
    for arguments in (
        ("model", "show", model),
        ("models",),
        ("versions", model, "--deleted"),
        ("alias", "history", f"{model}@champion"),
        ("alias", "list", model),
        ("journal", "list", "--model", model),
        ("journal", "verify"),
    ):
        assert unfit(run_cli, *arguments) == "", arguments
        assert unfit(run_cli, *arguments, "--json") == "", arguments


@pytest.mark.parametrize("name", ["\udcff", "a" * 100_000, "🦊" * 1000], ids=["no Unicode", "long", "long and wide"])
def test_no_name_of_a_user_fails_a_call(
    monkeypatch: pytest.MonkeyPatch, server: RunningServer, run_cli: RunCli, new_model: NewModel, name: str
) -> None:
    monkeypatch.setenv("LOGNAME", name)
    said = name.encode(errors="backslashreplace").decode()[:256]
    with server.connect() as client:
        assert client.create_model(new_model()).creator == f"unauthenticated:{said}"
    assert run_cli("model", "create", new_model(), "--json").json["creator"] == f"unauthenticated:{said}"


# -- what is no text ---------------------------------------------------------------------------------

Call = Callable[[wb.Client, str, Path, str], Any]


def in_block(change: Callable[[wb.VersionInProgress, str], None]) -> Call:
    """A change of a version that is being made; the version is given up."""

    def call(client: wb.Client, ref: str, weights: Path, bad: str) -> None:
        version = client.begin(ref.partition(":")[0], capture=False)
        try:
            change(version, bad)
        finally:
            version.abort()

    return call


def model_of(ref: str) -> str:
    return ref.partition(":")[0]


CALLS: dict[str, Call] = {
    "description": lambda client, ref, weights, bad: client.push(model_of(ref), weights, description=bad),
    "params.": lambda client, ref, weights, bad: client.push(model_of(ref), weights, params={bad: 1}),
    "tags.t": lambda client, ref, weights, bad: client.push(model_of(ref), weights, tags={"t": bad}),
    "datasets[0].name": lambda client, ref, weights, bad: client.push(
        model_of(ref), weights, datasets=[wb.Dataset(bad)]
    ),
    "datasets[0].uri": in_block(lambda version, bad: version.add_dataset("d", uri=bad)),
    "signature.inputs[0].name": in_block(lambda version, bad: version.set_signature([wb.TensorSpec(bad)])),
    "signature.outputs[0].dtype": in_block(lambda version, bad: version.set_signature([], [wb.TensorSpec("x", bad)])),
    "energy.method": in_block(lambda version, bad: version.log_energy(kwh=1, method=bad)),
    "metrics.": in_block(lambda version, bad: version.log_metric(bad, 1)),
    "set_tags.t": lambda client, ref, weights, bad: client.update_version(ref, set_tags={"t": bad}),
    "remove_tags[0]": lambda client, ref, weights, bad: client.update_version(ref, remove_tags=[bad]),
    "card": lambda client, ref, weights, bad: client.update_model(model_of(ref), card=bad),
    "owner": lambda client, ref, weights, bad: client.create_model("a.b.c", owner=bad),
    "reason": lambda client, ref, weights, bad: client.delete_version(ref, reason=bad),
    "reason ": lambda client, ref, weights, bad: client.delete_model(model_of(ref), reason=bad),
    "reason  ": lambda client, ref, weights, bad: client.set_alias(model_of(ref), "champion", 1, reason=bad),
    "reason   ": lambda client, ref, weights, bad: client.delete_alias(model_of(ref), "champion", reason=bad),
    "reason    ": lambda client, ref, weights, bad: client.promote(ref, "staging", reason=bad),
    "reason     ": lambda client, ref, weights, bad: client.rollback(f"{model_of(ref)}@staging", reason=bad),
    "node": lambda client, ref, weights, bad: client.report_deployment(node=bad, ref=ref),
}
"""What takes a text, by the place that the refusal names."""


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b", "\udcff"], ids=["NUL", "half a pair", "a byte"])
@pytest.mark.parametrize("place", CALLS)
def test_what_is_no_text_is_refused_by_its_place_and_changes_nothing(
    client: wb.Client, new_model: NewModel, weights: Path, place: str, bad: str
) -> None:
    ref = client.push(new_model(), weights, tags={"t": "kept"}, capture=False).version.ref
    before, events = client.version(ref), [event.revision for event in client.events(model=model_of(ref))]
    with pytest.raises(wb.InvalidRequest) as refusal:
        CALLS[place](client, ref, weights, bad)
    expected = {f"{place}{bad}" if place.endswith(".") else place.strip()}
    assert {item.path for item in refusal.value.violations} == expected
    assert client.version(ref) == before
    assert [event.revision for event in client.events(model=model_of(ref))] == events


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b"], ids=["NUL", "half a pair"])
@pytest.mark.parametrize("where", ["filter", "order_by", "show_metrics", "metric", "dataset", "schema", "path"])
def test_what_is_no_text_is_refused_where_something_is_asked_for(client: wb.Client, where: str, bad: str) -> None:
    asked: dict[str, Callable[[], Any]] = {
        "filter": lambda: list(client.search(f"description == '{bad}'")),
        "order_by": lambda: list(client.search(order_by=f"tags['{bad}']")),
        "show_metrics": lambda: list(client.search(show_metrics=[bad])),
        "metric": lambda: client.metrics("a.b.c", [bad]),
        "dataset": lambda: client.lineage(dataset_digest=bad),
        "schema": lambda: client.schema(bad),
        "path": lambda: client.open("a.b.c", bad),
    }
    with pytest.raises(wb.WeighbridgeError):
        asked[where]()
