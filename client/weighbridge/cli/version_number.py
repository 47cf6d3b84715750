"""A version of a model that is named already: ``7``, or in full ``name:7``."""

from __future__ import annotations

from weighbridge.core.errors import InvalidReference, UsageError
from weighbridge.core.refs import parse_ref, version_ref


def version_number(text: str, model: str) -> int:
    """The number.

    Raises:
        UsageError: it is none, or of a version of another model.
    """
    try:
        ref = parse_ref(text if ":" in text else version_ref(model, int(text)))
    except (ValueError, InvalidReference) as fault:
        raise UsageError(f"{text!r} is not a version; write its number, such as 7, or {model}:7") from fault
    if ref.model != model or ref.version is None:
        raise UsageError(f"{text!r} is not a version of {model}; write its number, such as 7, or {model}:7")
    return ref.version
