"""What a policy must be like, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

import re
from collections import Counter

from weighbridge.core.errors import InvalidReference, InvalidRequest, Violation
from weighbridge.core.policies import PolicyTerms
from weighbridge.core.refs import check_alias, check_prefix
from weighbridge.core.text_check import checked_text, wrong_text
from weighbridge.core.values import Role, Stage

MOST_RULES = 64
CEL_BYTES = 4096
MESSAGE_CHARS = 512
MOST_APPROVALS = 10
APPROVING_ROLES = (Role.APPROVER, Role.MAINTAINER, Role.ADMIN)
COMMENT_CHARS = 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_SETTLED = (Stage.DEVELOPMENT, Stage.ARCHIVED)
"""Stages that nothing enters by itself."""


def check_target(target: str) -> str:
    """Returns what can have a policy: a stage, or an alias.

    Raises:
        InvalidReference: it is neither.
    """
    try:
        return check_alias(target)
    except InvalidReference as fault:
        raise InvalidReference(
            f"{target[:80]!r} is neither a stage ({', '.join(Stage)}) nor an alias", violations=fault.violations
        ) from None


def check_policy(prefix: str, target: str, terms: PolicyTerms) -> None:
    """Checks a policy that is to be set, but for its conditions, which the server reads.

    Raises:
        InvalidName, InvalidReference, InvalidRequest: with one violation for each thing that is wrong.
    """
    check_prefix(prefix)
    check_target(target)
    violations = [*_wrong_rules(terms), *_wrong_approvals(target, terms)]
    if terms.automatic and target in _SETTLED:
        violations.append(Violation("automatic", f"is true; nothing enters {target} by itself"))
    if violations:
        raise InvalidRequest(f"the policy of {prefix} for {target} cannot be set so", violations=violations)


def check_comment(comment: str) -> str:
    """Returns what somebody says of a request for approval; it may be empty. Raises: InvalidRequest."""
    return checked_text("comment", comment, most_chars=COMMENT_CHARS)


def _wrong_rules(terms: PolicyTerms) -> list[Violation]:
    violations = []
    if len(terms.rules) > MOST_RULES:
        violations.append(Violation("rules", f"are {len(terms.rules)}; at most {MOST_RULES}"))
    for place, rule in enumerate(terms.rules):
        if not _NAME.fullmatch(rule.name):
            what = f"is {rule.name[:80]!r}; it is 1 to 64 letters, digits, spaces, dots, hyphens and underscores"
            violations.append(Violation(f"rules[{place}].name", what))
        size_bytes = len(rule.cel.encode(errors="replace"))
        if not rule.cel.strip():
            violations.append(Violation(f"rules[{place}].cel", "is empty"))
        elif size_bytes > CEL_BYTES:
            violations.append(Violation(f"rules[{place}].cel", f"is {size_bytes} bytes long; at most {CEL_BYTES}"))
        violations += wrong_text(f"rules[{place}].cel", rule.cel)
        violations += wrong_text(f"rules[{place}].message", rule.message, most_chars=MESSAGE_CHARS)
    for name, times in Counter(rule.name for rule in terms.rules).items():
        if times > 1:
            violations.append(Violation("rules", f"{name[:80]!r} is the name of {times} rules"))
    return violations


def _wrong_approvals(target: str, terms: PolicyTerms) -> list[Violation]:
    needed = terms.approvals
    if needed is None:
        return []
    violations = []
    if not 1 <= needed.count <= MOST_APPROVALS:
        violations.append(Violation("approvals.count", f"is {needed.count}; it is 1 to {MOST_APPROVALS}"))
    if needed.role not in APPROVING_ROLES:
        violations.append(Violation("approvals.role", f"is {needed.role}; it is {', '.join(APPROVING_ROLES)}"))
    if target == Stage.DEVELOPMENT:
        what = "cannot be asked for: a policy for development gates the commit, which does not wait for people"
        violations.append(Violation("approvals", what))
    return violations
