"""Policies gate stages: what passes is promoted, what does not is refused with what the rules saw."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli

NewModel = Callable[[], str]
Push = Callable[..., str]

BETTER = wb.PolicyRule(
    "better", "candidate.metrics.accuracy >= incumbent.metrics.accuracy * 1.01", "accuracy must rise by 1 %"
)
FAST = wb.PolicyRule("fast", "candidate.metrics.p95_ms <= 50", "p95 latency is at most 50 ms")


@pytest.fixture
def model(new_model: NewModel) -> str:
    return new_model()


@pytest.fixture
def push(client: wb.Client, model: str, tmp_path: Path) -> Push:
    """Pushes a version with these metrics, and returns its reference."""

    def push(metrics: Mapping[str, float] | None = None, **given: object) -> str:
        (tmp_path / "weights.bin").write_bytes(repr((metrics, given)).encode())
        return client.push(model, tmp_path / "weights.bin", metrics=metrics or {}, **given).version.ref  # type: ignore[arg-type]

    return push


def promote(client: wb.Client, ref: str) -> wb.Promotion:
    """From development to production, where only production has a policy."""
    client.promote(ref, "staging")
    return client.promote(ref, "production")


def failing(refusal: pytest.ExceptionInfo[wb.PolicyRefused]) -> dict[str, str]:
    return {violation.path: violation.message for violation in refusal.value.violations}


def test_what_is_better_and_fast_enough_is_promoted_and_what_is_not_is_refused(
    client: wb.Client, model: str, push: Push
) -> None:
    client.set_policy(model, "production", [BETTER, FAST])
    first, worse, slow, better = (
        push({"accuracy": accuracy, "p95_ms": p95_ms})
        for accuracy, p95_ms in [(0.90, 40), (0.905, 40), (0.95, 50.5), (0.91, 50)]
    )
    alone = promote(client, first)
    assert alone.verdict is not None
    assert [rule.outcome for rule in alone.verdict.rules] == [wb.RuleOutcome.SKIPPED, wb.RuleOutcome.PASSED]

    with pytest.raises(wb.PolicyRefused) as refusal:
        promote(client, worse)
    assert failing(refusal) == {
        "better": "accuracy must rise by 1 % (candidate.metrics.accuracy is 0.905, incumbent.metrics.accuracy is 0.9)"
    }
    assert refusal.value.details == {"prefix": model, "target": "production", "revision": "1"}
    with pytest.raises(wb.PolicyRefused) as refusal:
        promote(client, slow)
    assert failing(refusal) == {"fast": "p95 latency is at most 50 ms (candidate.metrics.p95_ms is 50.5)"}
    assert client.resolve(f"{model}@production").ref == first

    entered = promote(client, better)
    assert entered.displaced_ref == first
    assert entered.verdict is not None
    assert entered.verdict.passed
    assert entered.verdict.incumbent_ref == first
    assert client.resolve(f"{model}@production").ref == better


def test_all_rules_that_fail_are_listed(client: wb.Client, model: str, push: Push) -> None:
    client.set_policy(model, "production", [BETTER, FAST])
    promote(client, push({"accuracy": 0.9, "p95_ms": 40}))
    with pytest.raises(wb.PolicyRefused) as refusal:
        promote(client, push({"accuracy": 0.9, "p95_ms": 60}))
    assert set(failing(refusal)) == {"better", "fast"}


@pytest.mark.parametrize(
    ("metrics", "seen"),
    [
        ({}, "missing"),
        ({"accuracy": math.nan}, "NaN"),
    ],
    ids=["missing", "NaN"],
)
@pytest.mark.parametrize(
    "cel",
    [
        "candidate.metrics.accuracy >= 0.5",
        "!(candidate.metrics.accuracy < 0.5)",
        "candidate.metrics.accuracy != 0.5",
        "candidate.metrics.accuracy > 0.5 ? true : true",
        "-candidate.metrics.accuracy < 0",
    ],
)
def test_a_metric_that_is_missing_or_nan_never_passes(
    client: wb.Client, model: str, push: Push, cel: str, metrics: Mapping[str, float], seen: str
) -> None:
    client.set_policy(model, "staging", [wb.PolicyRule("accurate", cel)])
    ref = push(metrics)
    with pytest.raises(wb.PolicyRefused) as refusal:
        client.promote(ref, "staging")
    assert failing(refusal) == {
        "accurate": f"{cel} must hold (it cannot be decided: candidate.metrics.accuracy is {seen})"
    }
    tried = client.promote(ref, "staging", dry_run=True).verdict
    assert tried is not None
    assert [rule.outcome for rule in tried.rules] == [wb.RuleOutcome.UNDECIDED]
    assert not tried.passed


def test_lower_is_better_is_the_rule_turned_round(client: wb.Client, model: str, push: Push) -> None:
    rule = wb.PolicyRule("lower", "candidate.metrics.loss < incumbent.metrics.loss")
    client.set_policy(model, "production", [rule])
    promote(client, push({"loss": 0.5}))
    with pytest.raises(wb.PolicyRefused):
        promote(client, push({"loss": 0.6}))
    assert promote(client, push({"loss": 0.4})).displaced_ref == f"{model}:1"


def test_without_an_incumbent_rules_that_name_it_fail_where_the_policy_denies(
    client: wb.Client, model: str, push: Push
) -> None:
    client.set_policy(model, "production", [BETTER, FAST], incumbent_missing="deny")
    ref = push({"accuracy": 0.9, "p95_ms": 40})
    with pytest.raises(wb.PolicyRefused) as refusal:
        promote(client, ref)
    assert list(failing(refusal)) == ["better"]
    client.set_policy(model, "production", [FAST], incumbent_missing="deny")
    assert client.promote(ref, "production").version.stage == "production"


def test_a_dry_run_shows_each_rule_with_what_it_saw_and_changes_nothing(
    client: wb.Client, run_cli: RunCli, model: str, push: Push
) -> None:
    client.set_policy(model, "production", [BETTER, FAST])
    promote(client, push({"accuracy": 0.9, "p95_ms": 40}))
    ref = push({"accuracy": 0.8, "p95_ms": 30})
    client.promote(ref, "staging")
    before = len(list(client.events(model=model)))
    verdict = client.promote(ref, "production", dry_run=True).verdict
    assert verdict is not None
    assert [(rule.name, rule.outcome, [(seen.name, seen.json) for seen in rule.values]) for rule in verdict.rules] == [
        (
            "better",
            "failed",
            [("candidate.metrics.accuracy", "0.8"), ("incumbent.metrics.accuracy", "0.9")],
        ),
        ("fast", "passed", [("candidate.metrics.p95_ms", "30")]),
    ]
    ran = run_cli("promote", ref, "production", "--dry-run")
    assert ran.code == 3
    assert "better" in ran.out
    assert "FAIL" in ran.out
    assert "candidate.metrics.accuracy = 0.8" in ran.out
    ran = run_cli("promote", ref, "production", "--dry-run", "--json")
    assert ran.code == 3
    shown = json.loads(ran.out)
    assert (shown["dry_run"], shown["verdict"]["passed"]) == (True, False)
    assert len(list(client.events(model=model))) == before


def test_the_evidence_is_stored_with_the_event(client: wb.Client, model: str, push: Push) -> None:
    client.set_policy(model, "production", [BETTER, FAST])
    ref = push({"accuracy": 0.9, "p95_ms": 40})
    promoted = promote(client, ref)
    (event,) = [event for event in client.events(model=model) if event.revision == promoted.revision]
    evidence = json.loads(event.after)["evidence"]
    assert evidence["policy"] == {"prefix": model, "target": "production", "revision": 1}
    assert [(rule["name"], rule["outcome"], rule["values"]) for rule in evidence["rules"]] == [
        ("better", "skipped", [["candidate.metrics.accuracy", "0.9"], ["incumbent.metrics.accuracy", ""]]),
        ("fast", "passed", [["candidate.metrics.p95_ms", "40"]]),
    ]


def test_the_longest_prefix_with_a_policy_for_the_stage_governs(client: wb.Client, model: str, push: Push) -> None:
    project = model.split(".")[0]
    never = wb.PolicyRule("never", "candidate.metrics.accuracy > 2")
    client.set_policy(project, "staging", [never])
    ref = push({"accuracy": 0.9})
    try:
        assert client.policy(model, "staging").prefix == project
        with pytest.raises(wb.PolicyRefused):
            client.promote(ref, "staging")
        client.set_policy(model, "staging", [wb.PolicyRule("always", "candidate.version > 0")])
        assert client.policy(model, "staging").prefix == model
        client.promote(ref, "staging")
    finally:
        client.set_policy(project, "staging", [])


def test_rules_see_the_whole_record(client: wb.Client, model: str, push: Push, tmp_path: Path) -> None:
    parent = push()
    rules = [
        'candidate.params.lr < 0.01 && candidate.tags.hardware == "gpu"',
        'candidate.source.commit != "" || candidate.source.dirty || true',
        'candidate.environment.packages["numpy"] >= "1"',
        'candidate.datasets.exists(d, d.name == "transactions" && d.version == "2026-10")',
        'candidate.parents.all(p, p.relation == "fine-tuned") && size(candidate.parents) == 1',
        'candidate.files.all(f, f.size_bytes < 1000 && f.path.endsWith(".bin")) && size(candidate.files) == 1',
        "candidate.energy.gco2e / candidate.metrics.accuracy < 1000",
        'candidate.creator.contains(":") && candidate.description.matches("^A [a-z]+$")',
        'candidate.version == 2 && candidate.bytes_total > 0 && candidate.created_time > timestamp("2026-01-01")',
        "has(candidate.tags.hardware) && !has(candidate.tags.other)",
    ]
    client.set_policy(model, "staging", [wb.PolicyRule(f"rule {n}", cel) for n, cel in enumerate(rules)])
    with client.begin(model, parent=parent, tags={"hardware": "gpu"}, description="A model") as version:
        version.log_params(lr=0.001)
        version.add_dataset("transactions", version="2026-10")
        version.log_energy(kwh=1.0, gco2e=400.0)
        version.log_metric("accuracy", 0.9)
        version.add(tmp_path / "weights.bin")
    verdict = client.promote(f"{model}:2", "staging").verdict
    assert verdict is not None
    assert {rule.name: rule.outcome for rule in verdict.rules} == {f"rule {n}": "passed" for n in range(len(rules))}


@pytest.mark.parametrize(
    ("cel", "place", "message"),
    [
        ('candidate.metrics.accuracy >= "high"', "1:28", "a number and a text cannot be compared"),
        ("candidate.metrics.accuracy >", "1:29", "it ends too early"),
        ("candidate.metric.accuracy > 1", "1:11", "did you mean metrics?"),
        ("metrics.accuracy > 0.9", "1:1", "there is no metrics"),
        ("candidate.metrics.accuracy", "1:1", "compare it with something"),
        ('candidate.description.matches("[")', "1:31", "brackets"),
    ],
)
def test_a_rule_with_a_mistake_is_refused_when_set_with_its_position(
    client: wb.Client, run_cli: RunCli, model: str, tmp_path: Path, cel: str, place: str, message: str
) -> None:
    with pytest.raises(wb.InvalidExpression) as refusal:
        client.set_policy(model, "production", [FAST, wb.PolicyRule("wrong", cel)])
    (violation,) = refusal.value.violations
    assert violation.path == place
    assert message in violation.message
    assert refusal.value.details == {"rules[1].cel": "1"}
    with pytest.raises(wb.PolicyNotFound):
        client.policy(model, "production")
    (tmp_path / "policy.yaml").write_text(f"rules:\n- name: wrong\n  cel: {json.dumps(cel)}\n")
    ran = run_cli("policy", "set", model, "production", str(tmp_path / "policy.yaml"))
    assert ran.code == 1
    assert ran.err.startswith("error: INVALID_EXPRESSION: ")
    assert f"rules[0].cel is wrong at {place}" in ran.err
    assert ran.err.rstrip().endswith("^")


def test_a_policy_for_development_gates_the_commit(client: wb.Client, model: str, push: Push, tmp_path: Path) -> None:
    rules = [wb.PolicyRule("validated", "candidate.metrics.accuracy > 0.8", "it must have been validated")]
    client.set_policy(model, "development", rules)
    with pytest.raises(wb.PolicyRefused) as refusal:
        push({"accuracy": 0.7})
    assert failing(refusal) == {"validated": "it must have been validated (candidate.metrics.accuracy is 0.7)"}
    with pytest.raises(wb.PolicyRefused):
        push()
    assert list(client.versions(model)) == []
    ref = push({"accuracy": 0.9})
    (event,) = client.events(model=model, action="version.committed")
    assert json.loads(event.after)["evidence"]["rules"][0]["outcome"] == "passed"
    client.set_policy(model, "development", [wb.PolicyRule("stricter", "candidate.metrics.accuracy > 0.99")])
    client.promote(ref, "staging")
    assert client.promote(ref, "development").version.stage == "development"


def test_what_no_training_could_mend_is_refused_before_a_byte_is_sent(
    client: wb.Client, model: str, tmp_path: Path
) -> None:
    rules = [
        wb.PolicyRule("here", 'candidate.tags.region == "eu"'),
        wb.PolicyRule("later", "candidate.metrics.accuracy > 0.8 && has(candidate.params.lr)"),
    ]
    client.set_policy(model, "development", rules)
    (tmp_path / "weights.bin").write_bytes(b"weights")
    with pytest.raises(wb.PolicyRefused) as refusal, client.begin(model, tags={"region": "us"}) as version:
        pytest.fail(f"the block was entered: {version}")
    assert list(failing(refusal)) == ["here"]
    with client.begin(model, tags={"region": "eu"}) as version:
        version.log_params(lr=0.1)
        version.add(tmp_path / "weights.bin")
        version.log_metric("accuracy", 0.9)
    assert client.resolve(model).version == 1


def test_an_automatic_policy_promotes_at_the_commit_and_when_metrics_or_tags_change(
    client: wb.Client, model: str, push: Push
) -> None:
    rule = wb.PolicyRule("accurate", "candidate.metrics.accuracy >= 0.9 && candidate.tags.checked")
    client.set_policy(model, "staging", [rule], automatic=True)
    client.set_policy(model, "production", [BETTER], automatic=True)
    first = push({"accuracy": 0.9}, tags={"checked": True})
    assert client.version(first).stage == "production"
    assert [event.action for event in client.events(model=model)] == [
        "model.created",
        "version.committed",
        "version.stage-changed",
        "alias.promoted",
        "version.stage-changed",
        "alias.cleared",
        "alias.promoted",
    ]

    second = push({"accuracy": 0.95})
    assert client.version(second).stage == "development"
    client.update_version(second, set_tags={"checked": True})
    assert client.version(second).stage == "production"
    assert client.version(first).stage == "archived"

    third = push(tags={"checked": True})
    assert client.version(third).stage == "development"
    client.log_metrics(third, [wb.MetricPoint("accuracy", 0.91)])
    assert client.version(third).stage == "staging"
    events = [event for event in client.events(resource=f"{model}@staging") if event.action == "alias.promoted"]
    assert [json.loads(event.after)["automatic"] for event in events] == [True, True, True]


def test_what_was_there_before_does_not_come_back_by_itself(client: wb.Client, model: str, push: Push) -> None:
    client.set_policy(model, "staging", [wb.PolicyRule("any", "candidate.version > 0")], automatic=True)
    first, second = push(), push()
    assert [client.version(ref).stage for ref in (first, second)] == ["development", "staging"]
    client.update_version(first, set_tags={"note": "touched"})
    assert [client.version(ref).stage for ref in (first, second)] == ["development", "staging"]


def test_a_protected_alias_takes_the_same_policies(client: wb.Client, model: str, push: Push) -> None:
    client.set_policy(model, "champion", [BETTER])
    first, worse, better = (push({"accuracy": accuracy}) for accuracy in (0.9, 0.89, 0.95))
    client.set_alias(model, "champion", 1)
    with pytest.raises(wb.PolicyRefused) as refusal:
        client.set_alias(model, "champion", 2)
    assert list(failing(refusal)) == ["better"]
    client.set_alias(model, "free", 2)
    client.set_alias(model, "champion", 3)
    assert [client.resolve(f"{model}@{alias}").ref for alias in ("champion", "free")] == [better, worse]
    assert first == f"{model}:1"
    moved = json.loads(next(iter(client.events(resource=f"{model}@champion", newest_first=True))).after)
    assert moved["evidence"]["incumbent"] == first


def test_an_alias_that_is_automatic_follows_the_best(client: wb.Client, model: str, push: Push) -> None:
    rule = wb.PolicyRule("best", "candidate.metrics.accuracy > incumbent.metrics.accuracy")
    client.set_policy(model, "best", [rule], automatic=True)
    for accuracy in (0.8, 0.9, 0.85):
        push({"accuracy": accuracy})
    assert client.resolve(f"{model}@best").version == 2


def test_a_rollback_goes_round_the_policy(client: wb.Client, model: str, push: Push) -> None:
    promote(client, push({"accuracy": 0.9}))
    promote(client, push({"accuracy": 0.95}))
    client.set_policy(model, "production", [wb.PolicyRule("never", "candidate.version > 100")])
    assert client.rollback(f"{model}@production", reason="declines doubled").ref == f"{model}:1"


def test_a_policy_is_tried_on_past_versions_before_it_is_set(
    client: wb.Client, run_cli: RunCli, model: str, push: Push, tmp_path: Path
) -> None:
    promote(client, push({"accuracy": 0.9, "p95_ms": 40}))
    promote(client, push({"accuracy": 0.901, "p95_ms": 40}))
    push({"accuracy": 0.99, "p95_ms": 40})
    checked = list(client.check_policy(model, "production", wb.PolicyTerms((BETTER, FAST))))
    assert [(each.verdict.ref, each.held, each.verdict.incumbent_ref, each.verdict.passed) for each in checked] == [
        (f"{model}:3", False, f"{model}:2", True),
        (f"{model}:2", True, f"{model}:1", False),
        (f"{model}:1", True, "", True),
    ]
    (tmp_path / "policy.yaml").write_text(f"rules:\n- {{name: better, cel: {BETTER.cel}}}\n")
    ran = run_cli("policy", "check", model, "production", str(tmp_path / "policy.yaml"))
    assert ran.code == 3
    assert f"{model}:2 would be refused" in ran.out
    assert "3 versions judged, 1 of them would be refused" in ran.out
    with pytest.raises(wb.PolicyNotFound):
        list(client.check_policy(model, "production"))


def test_policies_have_revisions(client: wb.Client, model: str) -> None:
    first = client.set_policy(model, "production", [BETTER], expected_revision=0)
    assert (first.revision, client.set_policy(model, "production", [BETTER]).revision) == (1, 1)
    with pytest.raises(wb.RevisionConflict) as conflict:
        client.set_policy(model, "production", [FAST], expected_revision=0)
    assert conflict.value.details["revision"] == "1"
    second = client.set_policy(model, "production", [FAST], expected_revision=1)
    assert [client.policy(model, "production", number).terms for number in (1, 2)] == [first.terms, second.terms]
    events = list(client.events(resource=f"policy/{model}/production"))
    assert [event.action for event in events] == ["policy.set", "policy.set"]


def test_a_policy_that_asks_for_approvals_is_refused_where_the_server_does_not_know_who_calls(
    client: wb.Client, model: str
) -> None:
    with pytest.raises(wb.WrongState, match="without --auth"):
        client.set_policy(model, "production", [FAST], approvals=wb.ApprovalsNeeded(1))


def test_everything_that_is_wrong_with_a_policy_is_said_at_once(client: wb.Client, model: str) -> None:
    with pytest.raises(wb.InvalidRequest) as refusal:
        client.set_policy(
            model,
            "development",
            [wb.PolicyRule("", " "), wb.PolicyRule("twice", "true"), wb.PolicyRule("twice", "true")],
            approvals=wb.ApprovalsNeeded(0, wb.Role.READER),
            automatic=True,
        )
    assert [violation.path for violation in refusal.value.violations] == [
        "rules[0].name",
        "rules[0].cel",
        "rules",
        "approvals.count",
        "approvals.role",
        "approvals",
        "automatic",
    ]


def test_a_pattern_that_takes_for_ever_fails_its_rule_and_holds_up_nobody(
    client: wb.Client, model: str, push: Push
) -> None:
    """Its model is locked meanwhile: it is given up after some seconds, and with it what negates it."""
    slow = r'candidate.description.matches("^(a+)(a+)(a+)(a+)(a+)\\1\\2\\3\\4\\5$")'
    client.set_policy(model, "staging", [wb.PolicyRule("slow", slow), wb.PolicyRule("not", f"!{slow}"), FAST])
    ref = push({"p95_ms": 40}, description="a" * 401)
    with pytest.raises(wb.PolicyRefused) as refusal:
        client.promote(ref, "staging")
    assert list(failing(refusal)) == ["slow", "not"]
    verdict = client.promote(push({"p95_ms": 40}, description="b"), "staging", dry_run=True).verdict
    assert verdict is not None
    assert [rule.outcome for rule in verdict.rules] == ["failed", "passed", "passed"]


@pytest.mark.parametrize("text", ["a\0b", "\udcff", "x" * 513])
def test_a_message_that_cannot_be_kept_is_refused_when_set(client: wb.Client, model: str, text: str) -> None:
    with pytest.raises(wb.InvalidRequest) as refusal:
        client.set_policy(model, "staging", [wb.PolicyRule("said", "true", text)])
    assert [violation.path for violation in refusal.value.violations] == ["rules[0].message"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "rules: {}\n", 'rules: ""\n'])
def test_a_file_that_is_no_policy_opens_no_gate(run_cli: RunCli, model: str, tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    ran = run_cli("policy", "set", model, "staging", str(tmp_path / "policy.yaml"))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: INVALID_REQUEST: ")


def test_what_comes_out_of_the_archive_passes_the_policy_for_development(
    client: wb.Client, model: str, push: Push
) -> None:
    old = push({"accuracy": 0.5})
    client.promote(old, "archived")
    client.set_policy(model, "development", [wb.PolicyRule("validated", "candidate.metrics.accuracy > 0.8")])
    with pytest.raises(wb.PolicyRefused):
        client.promote(old, "development")
    client.set_policy(model, "development", [wb.PolicyRule("validated", "candidate.metrics.accuracy > 0.4")])
    back = client.promote(old, "development")
    assert (back.version.stage, back.verdict is not None and back.verdict.passed) == ("development", True)


def test_a_description_may_come_while_the_version_is_made(client: wb.Client, model: str, tmp_path: Path) -> None:
    client.set_policy(model, "development", [wb.PolicyRule("described", 'candidate.description != ""')])
    (tmp_path / "weights.bin").write_bytes(b"weights")
    with client.begin(model) as version:
        version.describe("good")
        version.add(tmp_path / "weights.bin")
    assert client.version(f"{model}:1").record is not None
    with pytest.raises(wb.PolicyRefused), client.begin(model) as version:
        version.add(tmp_path / "weights.bin")


def test_what_rules_saw_fits_the_journal_however_much_it_is(client: wb.Client, model: str, push: Push) -> None:
    tags = {f"t{number}": "\U0001f600" * 200 for number in range(72)}
    cel = " && ".join(f"candidate.tags.t{number} == incumbent.tags.t{number}" for number in range(70))
    rules = [wb.PolicyRule(f"rule {number}", f"{cel} && {number} >= 0") for number in range(64)]
    push(tags=tags)
    push(tags=tags)
    client.set_alias(model, "champion", 1)
    client.set_policy(model, "champion", rules)
    client.set_alias(model, "champion", 2)
    (event,) = (event for event in client.events(resource=f"{model}@champion") if "evidence" in event.after)
    kept = json.loads(event.after)["evidence"]["rules"]
    assert [len(rule["values"]) for rule in kept] == [5] * 64
    assert client.promote(f"{model}:1", "staging", dry_run=True)
