"""Text from elsewhere, made fit for a terminal.

Paths, tags and messages come from other people and other machines. What they hold must neither move the
cursor nor end the program: control characters are shown as escapes, and so is what the output's encoding lacks.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys

from rich.cells import cell_len

# C0, DEL and C1; line and paragraph separators; what turns the direction of writing; halves of surrogate pairs.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_PLAINER = {"…": "~", "━": "=", "─": "-", "│": "|", "├": "|", "└": "`", "·": "-", "✓": "+", "✗": "x"}
"""Our own signs where the encoding has none: as wide as they are, so that lines keep their length."""

_ERRORS = "weighbridge-plainer"


def visible(text: str) -> str:
    r"""The text with what a terminal would act on as escapes, such as ``\x1b``.

    A byte of a file name that is not UTF-8 (which Python keeps as a surrogate) reads ``\xff`` too.
    """
    return _UNFIT.sub(lambda match: _escape(match[0]), text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def one_line(text: str) -> str:
    """What others said (a database, an operating system) may have line breaks; a message is one line."""
    return visible(" ".join(text.split()))


def clip(text: str, cells: int) -> str:
    """The text in at most so many columns, its end cut off."""
    if cell_len(text) <= cells:
        return text
    while text and cell_len(text) > cells - 1:
        text = text[:-1]
    return text + "…" if cells > 0 else ""


def clip_start(text: str, cells: int) -> str:
    """As ``clip``, its start cut off: the end of a path says most."""
    if cell_len(text) <= cells:
        return text
    while text and cell_len(text) > cells - 1:
        text = text[1:]
    return "…" + text if cells > 0 else ""


def prepare_streams() -> None:
    """Makes standard output and error take any text, whatever their encoding, and be there at all."""
    codecs.register_error(_ERRORS, _plainer)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for the life of the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plainer(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    unfit = fault.object[fault.start : fault.end]
    plain = "".join(_PLAINER.get(char) or char.encode("ascii", "backslashreplace").decode() for char in unfit)
    return plain, fault.end
