"""A consumer as ``mypy --strict`` must accept it: every public call, with what it gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import weighbridge as wb


class Meter:
    """Anything with these two methods is a progress."""

    def begin(self, files_total: int, bytes_total: int) -> None: ...

    def advance(self, raw_bytes: int, moved_bytes: int) -> None: ...


def train(client: wb.Client) -> wb.Pushed:
    with client.begin(
        "fraud.tabular.transformer",
        parent=["fraud.tabular.transformer:3", wb.Parent("base.text.encoder", wb.Relation.DISTILLED)],
        params={"lr": 3e-4, "layers": 12},
        tags={"hardware_target": "gpu", "frozen": True},
        datasets=[wb.Dataset("transactions", version="2026-10")],
        progress=Meter(),
        capture=True,
    ) as version:
        version.log_params(batch=32, name="base")
        version.log_metric("loss", 0.3, step=100)
        version.log_metrics({"loss": 0.3, "accuracy": 1}, step=101)
        version.add_dataset("more", digest="sha256:00", role="validation")
        version.describe("nightly")
        version.set_signature([wb.TensorSpec("x", "float32", (-1, 4))], outputs=[wb.TensorSpec("y")])
        version.log_energy(kwh=1.2, gco2e=430, region="DE", method="meter")
        with version.track_energy(country_iso_code="DEU"):
            version.log_metric("loss", 0.2)
        version.add("checkpoint/", Path("config.json"))
    assert version.result is not None
    return version.result


def evaluate(client: wb.Client) -> list[float]:
    client.log_metrics("a.b.c:1", [wb.MetricPoint("auc", 0.93), wb.MetricPoint("auc", 0.94, step=2)])
    curves: dict[str, wb.MetricCurve] = client.metrics("a.b.c:1", ["auc"], most_points=1000)
    print(len(curves["auc"]), curves["auc"].steps.max(), curves["auc"].times[-1].astype(str))
    return [float(value) for value in curves["auc"].values]


def serve(client: wb.Client) -> tuple[Path, bool]:
    resolved: wb.Resolved = client.resolve("fraud.tabular.transformer")
    path: Path = client.pull(resolved.ref, "models/")
    verified: wb.Verified = client.verify(path)
    for problem in verified.problems:
        print(problem.path.upper(), problem.message.upper())
    return path, verified.ok


def infer(client: wb.Client) -> tuple[int, ...]:
    arrays = client.load("fraud.tabular.transformer", tensors=["layers.3.*"], rows={"embedding": (0, 1024)})
    moved = client.load("a.b.c", framework="torch", device="cuda", tensors=lambda name: name.endswith("bias"))
    print(sorted(moved), client.load("a.b.c", include=["*.gguf"], exclude=[], progress=Meter()))
    with client.open("a.b.c@production", Path("eval") / "scores.csv") as file:
        taken: bytes = file.read(file.size // 2)
        reader: wb.FileReader = file
    print(reader.ref, reader.path, len(taken))
    return arrays["embedding"].shape


def look(client: wb.Client) -> Iterator[str]:
    made: wb.Model = client.create_model("a.b.c", owner="ada", team="risk", contact="#risk", description="", card="# A")
    client.update_model(made.name, card=(made.card or "").upper())
    if (deletion := client.delete_model(made.name, reason="a mistake").deletion) is not None:
        yield f"{deletion.time.isoformat()} {deletion.actor.upper()} {deletion.reason.upper()}"
    yield from (model.name for model in client.models(deleted=True))
    yield client.restore_model(made.name).name
    models: Iterator[wb.Model] = client.models()
    for model in models:
        for version in client.versions(model.name):
            whole = client.version(version.ref)
            if whole.record is not None:
                yield whole.record.description
            yield from (file.path for file in client.files(version.ref))
            yield version.created_time.isoformat()


def audit(client: wb.Client, since: datetime) -> int:
    events: Iterator[wb.Event] = client.events(model="a.b.c", action="version.", since=since, newest_first=True)
    kept: wb.Checkpoint = client.checkpoint()
    proven = client.verify_journal(kept, progress=lambda done, total: print(done / total))
    client.verify_journal(Path("checkpoint.json"))
    assert wb.Checkpoint.from_json(proven.to_json()).hash
    return proven.revision + sum(len(event.actor) for event in events)


def operate(client: wb.Client, since: datetime) -> Iterator[str]:
    champion: wb.Alias = client.set_alias("a.b.c", "champion", 7, reason="better", expected_revision=0)
    client.delete_alias("a.b.c", "champion", expected_revision=champion.revision)
    made: wb.Promotion = client.promote("a.b.c:7", wb.Stage.STAGING, dry_run=True)
    if made.displaced_stage is not None:
        yield f"{made.displaced_ref} {made.displaced_stage.value} {made.version.aliases}"
    client.promote(made.version.ref, "staging", reason="won", expected_revision=0)
    try:
        yield client.rollback("a.b.c@production", reason="declines doubled", to=5).previous_ref
    except wb.RevisionConflict as lost:
        yield lost.details["value"]
    moves: Iterator[wb.AliasMove] = client.alias_history("a.b.c@production", at=since)
    yield from (move.ref for move in moves)
    yield from (alias.moved_time.isoformat() for alias in client.aliases("a.b.c"))


def main() -> int:
    try:
        with wb.connect("127.0.0.1:8420", token=None, retry_limit_s=5.0) as client:
            pushed = train(client)
            return (
                pushed.bytes_sent
                + pushed.version.version
                + len(client.push("a.b.c", "x", metrics={"auc": 1}).version.ref)
            )
    except wb.DataLoss as loss:
        print(loss.details["path"], loss.code, loss.reason)
    except wb.WeighbridgeError as error:
        print(error.message, [violation.path for violation in error.violations], error.retry_after_s)
    return 1
