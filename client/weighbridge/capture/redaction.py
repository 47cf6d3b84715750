"""Secrets, taken out of what is recorded.

A value is secret where its name says so: a flag, an assignment, a member of JSON or a parameter of a URL whose name
contains one of a few words. That takes out some values which are none (``--keypoints``): the other fault is worse.
Only the tokens that language models count and number are told from those that let in: their names are on every command
line that trains one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "[redacted]"
_ARGUMENT_CHARS = 4096
_ARGUMENTS = 512

# Not of a model: tokenizer, tokens, max_tokens, token_ids, token_type, pad_token. Several that let in are secret again.
_TOKEN = (
    r"(?<!(?<![a-z])(?:bos|cls|eos|pad|sep|unk)[_.-])(?<!(?<![a-z])mask[_.-])"
    r"token(?!i[sz]|s(?![a-z])|[_.-]?ids?(?![a-z])|[_.-]?type)"
    r"|(?:access|api|auth|bearer|hf|refresh|session)[_.-]?tokens"
)
_SECRET = rf"(?:{_TOKEN}|passw|passphrase|pwd|secret|key|credential|authorization)"
_SCHEME = r"(?<![A-Za-z0-9+.-])([A-Za-z0-9+.-]+://)"
_USERINFO = re.compile(_SCHEME + r"[^/\s?#]*@")
# A password that should have had its slash escaped; what is before a slash and looks like a port is one.
_ODD_USERINFO = re.compile(_SCHEME + r"[^/\s?#@]*:(?!\d{1,5}[/?#])[^\s@]*@")
_CUT_URL = re.compile(r"://\S*\Z")
_FLAG = re.compile(rf"-{{1,2}}[\w.-]*{_SECRET}[\w.-]*", re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"([+~-]{{0,2}}[\w./-]*{_SECRET}[\w.-]*\s*[=:]).*", re.IGNORECASE | re.DOTALL)
# Begins where a word begins: else a long word would be searched anew from each of its letters.
_INNER = re.compile(
    rf"""(?<![\w.-])([\w.-]*{_SECRET}[\w.-]*["']?\s*[=:]\s*)"""
    r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:bearer\s+|basic\s+)?[^\s"',;&}\]]+)""",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """One text, such as a URL or an argument, without the userinfo of URLs and without secret values in it."""
    if len(text) > _ARGUMENT_CHARS:  # cut first, so that no search takes long; a cut URL may have lost its "@"
        text = _CUT_URL.sub("://", text[:_ARGUMENT_CHARS]) + "…"
    for userinfo in (_USERINFO, _ODD_USERINFO):
        text = userinfo.sub(r"\1", text)
    return _INNER.sub(rf"\1{REDACTED}", text)


def redact_arguments(arguments: Iterable[str]) -> tuple[str, ...]:
    """A command line without secrets. What is very long is cut."""
    redacted: list[str] = []
    after_flag = False
    for argument in arguments:
        if len(redacted) == _ARGUMENTS:
            redacted.append("…")
            break
        if after_flag and not argument.startswith("--"):
            redacted.append(REDACTED)
            after_flag = False
            continue
        after_flag = len(argument) < _ARGUMENT_CHARS and _FLAG.fullmatch(argument) is not None
        assignment = _ASSIGNMENT.fullmatch(argument[:_ARGUMENT_CHARS])
        if assignment is not None:
            redacted.append(assignment[1] + REDACTED)
            continue
        redacted.append(without_secrets(argument))
    return tuple(redacted)
