"""A policy's verdict on a version: each rule on the candidate and the incumbent, with the values that it saw."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from weighbridge.core.policies import IncumbentMissing, Policy, PolicyRule, RuleOutcome, RuleVerdict, SeenValue, Verdict
from weighbridge.core.values import Record, Version
from weighbridge_server.domain.expressions.evaluate import Document, Evaluation
from weighbridge_server.domain.expressions.typed import Path
from weighbridge_server.domain.policy.rules import Condition, condition
from weighbridge_server.domain.policy.subject import CANDIDATE, INCUMBENT, begun_subject, subject
from weighbridge_server.domain.ports import Transaction
from weighbridge_server.domain.times import utc_text

_LONGEST = 200
"""Characters of a text that a verdict shows."""
_VALUES_BYTES = 4096
"""How much of what a rule saw a verdict keeps: with 64 rules, an event is well below what one message can carry."""
_SAID = {math.inf: "Infinity", -math.inf: "-Infinity"}


def judged(tx: Transaction, policy: Policy, candidate: Version, incumbent: Version | None) -> Verdict:
    """The verdict, approvals left aside. Both versions are whole."""
    conditions = [condition(rule.cel) for rule in policy.terms.rules]
    files = any(each.names_files for each in conditions)
    document = {CANDIDATE: _subject(tx, candidate, files=files)}
    if incumbent is not None:
        document[INCUMBENT] = _subject(tx, incumbent, files=files)
    evaluation = Evaluation(document, tx.search.matches, nan=False)
    rules = [
        _rule(rule, each, evaluation, policy, alone=incumbent is None)
        for rule, each in zip(policy.terms.rules, conditions, strict=True)
    ]
    return Verdict(
        ref=candidate.ref,
        target=policy.target,
        policy_prefix=policy.prefix,
        policy_revision=policy.revision,
        incumbent_ref="" if incumbent is None else incumbent.ref,
        rules=rules,
    )


def judged_at_begin(tx: Transaction, policy: Policy, model: str, creator: str, record: Record) -> list[RuleVerdict]:
    """The rules that fail by what is known when an upload begins, whatever its training adds.

    What is not recorded yet may come; so only a rule that is false counts, and not one that is undecided.
    """
    document = {CANDIDATE: begun_subject(model, creator, record)}
    evaluation = Evaluation(document, tx.search.matches, nan=False, pending=True)
    failing = []
    for rule in policy.terms.rules:
        checked = condition(rule.cel)
        if not checked.needs_incumbent and evaluation.value(checked.typed) is False:
            failing.append(_verdict(rule, checked, evaluation, RuleOutcome.FAILED))
    return failing


def _subject(tx: Transaction, version: Version, *, files: bool) -> Document:
    return subject(version, (lambda: tx.versions.files(version.model, version.version)) if files else None)


def _rule(rule: PolicyRule, checked: Condition, evaluation: Evaluation, policy: Policy, *, alone: bool) -> RuleVerdict:
    if alone and checked.needs_incumbent:
        denied = policy.terms.incumbent_missing is IncumbentMissing.DENY
        return _verdict(rule, checked, evaluation, RuleOutcome.UNDECIDED if denied else RuleOutcome.SKIPPED)
    outcomes = {True: RuleOutcome.PASSED, False: RuleOutcome.FAILED}
    value = evaluation.value(checked.typed)
    decided = outcomes[value] if isinstance(value, bool) else RuleOutcome.UNDECIDED
    return _verdict(rule, checked, evaluation, decided)


def _verdict(rule: PolicyRule, checked: Condition, evaluation: Evaluation, outcome: RuleOutcome) -> RuleVerdict:
    values = tuple(_fitting(_seen(checked.named, evaluation.seen)))
    return RuleVerdict(rule.name, rule.cel, rule.message, outcome, values)


def _seen(paths: Sequence[Path], at: Callable[[Path], Any]) -> Iterator[SeenValue]:
    for path in paths:
        name, value = _name(path), at(path)
        if isinstance(value, list):
            yield SeenValue(f"size({name})", json.dumps(len(value)))
        elif isinstance(value, Mapping):
            yield SeenValue(f"has({name})", "true")
        else:
            yield SeenValue(name, _json(value))


def _fitting(values: Iterable[SeenValue]) -> Iterator[SeenValue]:
    room = _VALUES_BYTES
    for value in values:
        room -= len(value.name.encode()) + len(value.json.encode())
        if room < 0:
            return
        yield value


def _name(path: Path) -> str:
    """As a rule writes it: ``candidate.metrics.loss`` is its ``latest``."""
    whole = path[1] == "metrics" and path[3:] == ("latest",)
    first, *others = path[:-1] if whole else path
    return first + "".join(
        f".{name}" if name.isidentifier() and name.isascii() else f"[{json.dumps(name, ensure_ascii=False)}]"
        for name in others
    )


def _json(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool() | int():
            return json.dumps(value)
        case float() if math.isnan(value):
            return "NaN"
        case float():
            return _SAID.get(value) or json.dumps(int(value) if value.is_integer() and abs(value) < 1e15 else value)
        case str():
            return json.dumps(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…", ensure_ascii=False)
    return json.dumps(utc_text(value))
