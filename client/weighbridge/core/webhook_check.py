"""What is said of a webhook must be like this, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from weighbridge.core.errors import InvalidName, InvalidReference, InvalidRequest, Violation
from weighbridge.core.refs import check_alias, check_prefix

LONGEST_URL = 2048
SHORTEST_SECRET, LONGEST_SECRET = 16, 256
_DESCRIPTION_CHARS = 512
_MOST_ACTIONS = 20
_ACTION = re.compile(r"[a-z][a-z-]*\.([a-z][a-z-]*)?")
_LONGEST_ACTION = 64
_LARGEST = 2**63 - 1


def check_new_webhook(
    url: str, target: str, alias: str, actions: Sequence[str], description: str, secret: str | None
) -> None:
    """Checks a webhook that is to be made; without a secret the server makes one.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    _refuse(
        "the webhook cannot be made",
        [
            *_wrong_url(url),
            *_wrong_target(target),
            *(_wrong_alias(alias) if alias != "" else ()),
            *_wrong_actions(actions),
            *_wrong_description(description),
            *(_wrong_secret(secret) if secret is not None else ()),
        ],
    )


def check_webhook_update(url: str | None, description: str | None, secret: str | None, paused: bool | None) -> None:
    """Checks what is to be changed of a webhook: what is not None.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [
        *(_wrong_url(url) if url is not None else ()),
        *(_wrong_description(description) if description is not None else ()),
        *(_wrong_secret(secret) if secret is not None else ()),
    ]
    if url is None and description is None and secret is None and paused is None:
        violations.append(Violation("request", "changes nothing; give url, description, secret or paused"))
    _refuse("the webhook cannot be changed so", violations)


def check_webhook_id(webhook_id: int) -> int:
    """Returns a number that may be a webhook's. Raises: InvalidRequest."""
    _refuse("there is no webhook of such a number", list(_wrong_number("id", webhook_id)))
    return webhook_id


def check_replay(webhook_id: int, from_revision: int) -> None:
    """Checks from where a webhook is to send again.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    numbers = {"id": webhook_id, "from_revision": from_revision}
    violations = [violation for field, number in numbers.items() for violation in _wrong_number(field, number)]
    _refuse("the webhook cannot be replayed so", violations)


def shown_url(url: str) -> str:
    """A URL as lists, the journal and logs have it: a query reads ``…``, since queries hold secrets."""
    before, mark, _ = url.partition("?")
    return f"{before}?…" if mark else before


def _wrong_url(url: str) -> Iterator[Violation]:
    if not isinstance(url, str):  # callers without a type checker
        yield Violation("url", f"is a {type(url).__name__}, not text")
        return
    if len(url) > LONGEST_URL:
        yield Violation("url", f"has {len(url)} characters, at most {LONGEST_URL} are kept")
    if not re.fullmatch(r"[!-~]*", url):
        yield Violation("url", "has characters other than printable ASCII; write them as %XX, a host in punycode")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        yield Violation("url", f"cannot be read: {fault}")
        return
    if parts.scheme not in {"http", "https"}:
        yield Violation("url", "does not begin with https:// or http://")
    if not host:
        yield Violation("url", "names no host")
    if port == 0:
        yield Violation("url", "has the port 0")
    if "@" in parts.netloc:
        yield Violation("url", "has a user or a password in it, which lists would show; put a secret into the query")
    if "#" in url:
        yield Violation("url", "has a fragment, behind #, which is never sent")


def _wrong_target(target: str) -> Iterator[Violation]:
    if not isinstance(target, str):
        yield Violation("target", f"is a {type(target).__name__}, not text")
        return
    try:
        check_prefix(target)
    except InvalidName as fault:
        for violation in fault.violations:
            yield Violation(violation.path.replace("name", "target", 1), violation.message)


def _wrong_alias(alias: str) -> Iterator[Violation]:
    if not isinstance(alias, str):
        yield Violation("alias", f"is a {type(alias).__name__}, not text")
        return
    try:
        check_alias(alias)
    except InvalidReference as fault:
        yield from fault.violations


def _wrong_actions(actions: Sequence[str]) -> Iterator[Violation]:
    if isinstance(actions, str):
        yield Violation("actions", f"is one text; it is a list, such as [{actions!r}]")
        return
    if len(actions) > _MOST_ACTIONS:
        yield Violation("actions", f"are {len(actions)}, at most {_MOST_ACTIONS} are kept; alias. is all of aliases")
    for place, action in enumerate(actions):
        if not isinstance(action, str) or len(action) > _LONGEST_ACTION or not _ACTION.fullmatch(action):
            shown = repr(action)[: _LONGEST_ACTION + 2]
            yield Violation(f"actions[{place}]", f"is {shown}; it is like alias.promoted, or alias. for all of them")


def _wrong_description(description: str) -> Iterator[Violation]:
    if not isinstance(description, str):
        yield Violation("description", f"is a {type(description).__name__}, not text")
        return
    if len(description) > _DESCRIPTION_CHARS:
        yield Violation("description", f"has {len(description)} characters, at most {_DESCRIPTION_CHARS} are kept")
    if "\0" in description:
        yield Violation("description", "contains a NUL character")
    try:
        description.encode()
    except UnicodeEncodeError:
        yield Violation("description", "is not valid Unicode")


def _wrong_secret(secret: str) -> Iterator[Violation]:
    """The secret itself is in no message."""
    if not isinstance(secret, str):
        yield Violation("secret", f"is a {type(secret).__name__}, not text")
        return
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        yield Violation("secret", f"has {len(secret)} characters; it has {SHORTEST_SECRET} to {LONGEST_SECRET}")
    if not re.fullmatch(r"[!-~]*", secret):
        yield Violation("secret", "has blanks, or characters other than printable ASCII")


def _wrong_number(field: str, number: int) -> Iterator[Violation]:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _LARGEST:
        yield Violation(field, f"is {number!r}; it is a number from 1")


def _refuse(what: str, violations: list[Violation]) -> None:
    if violations:
        raise InvalidRequest(what, violations=violations)
