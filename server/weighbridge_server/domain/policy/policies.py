"""The policies of prefixes: setting and reading them, and judging versions by them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from weighbridge.core.digest import format_digest
from weighbridge.core.errors import LimitExceeded, PolicyNotFound, WrongState
from weighbridge.core.policies import CheckedByPolicy, Policy, PolicyTerms
from weighbridge.core.policy_check import check_policy, check_target
from weighbridge.core.refs import check_prefix, parse_ref, prefixes_of
from weighbridge.core.values import Version
from weighbridge_server.domain.access.callers import Caller, Readable, concerns
from weighbridge_server.domain.canonical import canonical_json, json_digest
from weighbridge_server.domain.expected import check_expected
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.lifecycle.pointers import move_of
from weighbridge_server.domain.policy.gate import governing
from weighbridge_server.domain.policy.judge import judged
from weighbridge_server.domain.policy.rules import check_rules
from weighbridge_server.domain.policy.terms import terms_document
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.versions import find_version
from weighbridge_server.domain.registry.versions_below import versions_below
from weighbridge_server.domain.requests import once

MOST_POLICIES = 1000
"""They are listed in one message."""


class Policies:
    """Policies by prefix of names and target. The longest prefix that has one for a target governs it alone."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def set(
        self, caller: Caller, request_id: str, prefix: str, target: str, terms: PolicyTerms, expected: int | None
    ) -> Policy:
        """Sets the policy of a prefix for a target; the terms that it has already change nothing.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, InvalidExpression, LimitExceeded, WrongState,
            RevisionConflict, RequestIdReused.
        """
        check_policy(prefix, target, terms)
        if terms.approvals is not None and not caller.authenticated:
            raise WrongState(
                "the policy asks for approvals, and this server does not know who calls, so that anybody could give "
                "them: it was started without --auth. Start it with --auth, or leave the approvals out",
            )
        document = terms_document(terms)
        payload = {
            "call": "SetPolicy",
            "prefix": prefix,
            "target": target,
            "terms": document,
            "expected": str(expected),
        }
        with self._catalog.transaction(caller.actor) as tx:
            check_rules(tx, terms.rules)
            revision = once(tx, request_id, payload, lambda: _set(tx, prefix, target, terms, expected))
            return _existing(tx, prefix, target, int(revision))

    def get(self, name: str, target: str, revision: int | None) -> Policy:
        """What governs a name or prefix for a target; with ``revision`` that one of exactly this prefix.

        Raises:
            InvalidName, InvalidReference, PolicyNotFound.
        """
        check_prefix(name)
        check_target(target)
        with self._catalog.snapshot() as tx:
            if revision is not None:
                return _existing(tx, name, target, revision)
            policy = governing(tx, name, target)
        if policy is None:
            raise _none_governs(name, target)
        return policy

    def list(self, name: str, readable: Readable = None) -> list[Policy]:
        """What governs a name or prefix, of each target one; empty: every policy that concerns what the caller reads.

        Raises:
            InvalidName.
        """
        with self._catalog.snapshot() as tx:
            found = tx.policies.governing(prefixes_of(check_prefix(name))) if name else tx.policies.present()
        return [policy for policy in found if concerns(readable, policy.prefix)]

    def check(self, versions: str, target: str, terms: PolicyTerms | None) -> Iterator[CheckedByPolicy]:
        """Judges versions: one by its reference, or those of a model or prefix, newest first.

        A version that held the target is judged against whom it displaced when it first entered; any other against
        the present holder.

        Args:
            versions: a reference, a model or a prefix.
            target: a stage or an alias.
            terms: of a policy that is not set; None: for each version what governs it.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, InvalidExpression, ModelNotFound, ModelDeleted,
            VersionNotFound, VersionDeleted, AliasNotFound, PolicyNotFound (none governs any of them).
        """
        check_target(target)
        given: Policy | None = None
        if terms is not None:
            check_policy(re.split("[:@#]", versions)[0], target, terms)
            given = Policy("", target, 0, terms)
            with self._catalog.transaction() as tx:
                check_rules(tx, terms.rules)
        governed = given is not None
        for ref in versions_below(self._catalog, versions):
            with self._catalog.snapshot() as tx:
                version = find_version(tx, ref, whole=True)
                policy = given or governing(tx, version.model, target)
                checked = None if policy is None else _checked(tx, policy, version)
            if checked is not None:
                governed = True
                yield checked
        if not governed:
            raise _none_governs(re.split("[:@#]", versions)[0], target)


def _checked(tx: Transaction, policy: Policy, version: Version) -> CheckedByPolicy:
    entered = tx.aliases.first_move(version.model, policy.target, version.version)
    if entered is None:
        incumbent = tx.versions.held_by(version.model, policy.target, whole=True)
        return CheckedByPolicy(judged(tx, policy, version, incumbent), held=False)
    before = move_of(entered).previous_ref
    displaced = find_version(tx, parse_ref(before), whole=True, deleted=True) if before else None
    if displaced is not None and displaced.purged_time is not None:
        displaced = None
    return CheckedByPolicy(judged(tx, policy, version, displaced), held=True)


def _set(tx: Transaction, prefix: str, target: str, terms: PolicyTerms, expected: int | None) -> str:
    tx.policies.lock(shared=False)
    before = next(iter(tx.policies.governing([prefix], target)), None)
    revision, value = (0, "") if before is None else (before.revision, _digest(before))
    check_expected(f"the policy of {prefix} for {target}", _resource(prefix, target), revision, value, expected)
    if before is not None and before.terms == terms:
        return str(before.revision)
    if before is None and len(tx.policies.present()) >= MOST_POLICIES:
        raise LimitExceeded(
            f"{MOST_POLICIES} policies are set, and no more can be; set one of a shorter prefix",
            details={"limit": str(MOST_POLICIES), "actual": str(MOST_POLICIES + 1)},
        )
    after = tx.policies.add(prefix, target, terms)
    states = ("" if policy is None else _state(policy) for policy in (before, after))
    tx.record(Change("policy.set", _resource(prefix, target), *states))
    return str(after.revision)


def _existing(tx: Transaction, prefix: str, target: str, revision: int) -> Policy:
    policy = tx.policies.get(prefix, target, revision)
    if policy is None:
        raise PolicyNotFound(
            f"the policy of {prefix} for {target} has no revision {revision}; 'weighbridge policy list' shows what is "
            "set, and the newest revisions",
            details={"prefix": prefix, "target": target, "revision": str(revision)},
        )
    return policy


def _none_governs(name: str, target: str) -> PolicyNotFound:
    return PolicyNotFound(
        f"no policy governs {name} for {target}; 'weighbridge policy set' sets one",
        details={"prefix": name, "target": target},
    )


def _resource(prefix: str, target: str) -> str:
    return f"policy/{prefix}/{target}"


def _state(policy: Policy) -> str:
    """What the journal says of a policy. Its rules, of up to 256 KiB, are kept beside it for good."""
    return canonical_json({"revision": policy.revision, "digest": _digest(policy)})


def _digest(policy: Policy) -> str:
    return format_digest(json_digest(terms_document(policy.terms)))
