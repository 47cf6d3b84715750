"""A policy as a file: YAML, or JSON, which is YAML too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from weighbridge.cli.text_file import read_text
from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.policies import ApprovalsNeeded, IncumbentMissing, PolicyRule, PolicyTerms
from weighbridge.core.policy_check import APPROVING_ROLES
from weighbridge.core.values import Role

_MOST_BYTES = 512 * 1024
_KEYS = ("rules", "approvals", "incumbent_missing", "automatic")
_RULE_KEYS = ("name", "cel", "message")
_APPROVAL_KEYS = ("count", "role")


class _Loader(yaml.SafeLoader):
    """Refuses what YAML would pass over in silence: a key that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} comes twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_policy(file: str) -> PolicyTerms:
    """The terms of a policy in a file; ``-`` is standard input.

    Raises:
        SourceUnreadable: it cannot be read.
        InvalidRequest: it is no policy; one violation for each thing that is wrong.
    """
    text = read_text(file, "policy", _MOST_BYTES)
    try:
        document = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise InvalidRequest(f"{file} is not YAML", violations=[Violation("policy", _where(fault))]) from fault
    reading = _Reading()
    terms = reading.terms(document)
    if reading.violations:
        raise InvalidRequest(f"{file} is not a policy", violations=reading.violations)
    return terms


def policy_text(terms: PolicyTerms) -> str:
    """The terms as YAML, fit to be changed and set again."""
    return yaml.safe_dump(policy_document(terms), sort_keys=False, allow_unicode=True, width=110)


def policy_document(terms: PolicyTerms) -> dict[str, Any]:
    """The terms with the names that a file has."""
    document: dict[str, Any] = {
        "rules": [
            {"name": rule.name, "cel": rule.cel, **({"message": rule.message} if rule.message else {})}
            for rule in terms.rules
        ]
    }
    if terms.approvals is not None:
        document["approvals"] = {"count": terms.approvals.count, "role": str(terms.approvals.role)}
    document["incumbent_missing"] = str(terms.incumbent_missing)
    document["automatic"] = terms.automatic
    return document


class _Reading:
    """One document; ``violations`` gathers what is wrong with it."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def terms(self, document: Any) -> PolicyTerms:
        members = self._members("policy", document, _KEYS)
        return PolicyTerms(
            rules=tuple(self._rules(members.get("rules", ()))),
            approvals=self._approvals(members.get("approvals")),
            incumbent_missing=self._missing(members.get("incumbent_missing", "allow")),
            automatic=self._truth("automatic", members.get("automatic", False)),
        )

    def _rules(self, given: Any) -> list[PolicyRule]:
        if given is None:
            return []
        if not isinstance(given, Sequence) or isinstance(given, str):
            self._wrong("rules", "are a list, each with name, cel and message")
            return []
        return [self._rule(f"rules[{place}]", rule) for place, rule in enumerate(given)]

    def _rule(self, path: str, given: Any) -> PolicyRule:
        members = self._members(path, given, _RULE_KEYS)
        name, cel, message = (self._text(f"{path}.{key}", members, key) for key in _RULE_KEYS)
        return PolicyRule(name, cel, message)

    def _approvals(self, given: Any) -> ApprovalsNeeded | None:
        if given is None:
            return None
        members = self._members("approvals", given, _APPROVAL_KEYS)
        count, role = members.get("count", 1), members.get("role", "approver")
        if isinstance(count, bool) or not isinstance(count, int):
            self._wrong("approvals.count", f"is {count!r}; it is a whole number")
            count = 1
        if role not in APPROVING_ROLES:
            self._wrong("approvals.role", f"is {role!r}; it is {', '.join(APPROVING_ROLES)}")
            role = Role.APPROVER
        return ApprovalsNeeded(count, Role(role))

    def _missing(self, given: Any) -> IncumbentMissing:
        if given in tuple(IncumbentMissing):
            return IncumbentMissing(given)
        self._wrong("incumbent_missing", f"is {given!r}; it is {' or '.join(IncumbentMissing)}")
        return IncumbentMissing.ALLOW

    def _truth(self, path: str, given: Any) -> bool:
        if not isinstance(given, bool):
            self._wrong(path, f"is {given!r}; it is true or false")
        return given is True

    def _text(self, path: str, members: Mapping[str, Any], key: str) -> str:
        given = members.get(key)
        if given is None and key == "message":
            return ""
        if isinstance(given, str):
            return given
        self._wrong(path, "is missing" if given is None else f"is {given!r}; it is text: put it in quotes")
        return ""

    def _members(self, path: str, given: Any, known: Sequence[str]) -> Mapping[str, Any]:
        if given is None and path == "policy":
            self._wrong(path, "is empty; one that asks for nothing is written {}")
            return {}
        if not isinstance(given, Mapping):
            self._wrong(path, f"has {', '.join(known)}; this is a {type(given).__name__}")
            return {}
        for key in given:
            if key not in known:
                self._wrong(
                    f"{path}.{key}" if path != "policy" else str(key), f"is unknown; there is {', '.join(known)}"
                )
        return given

    def _wrong(self, path: str, what: str) -> None:
        self.violations.append(Violation(path, what))


def _where(fault: Exception) -> str:
    mark = getattr(fault, "problem_mark", None)
    problem = getattr(fault, "problem", None) or str(fault)
    return problem if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
