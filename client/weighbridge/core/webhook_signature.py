"""What a webhook posts, and its signature. ``protos/SPEC.md``, section 17, has the format and a test vector.

The signature is HMAC-SHA256 (RFC 2104) over the time and the body, so that neither can be exchanged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping

from weighbridge.core.errors import SignatureInvalid, UsageError
from weighbridge.core.event_text import event_line, parse_event_line
from weighbridge.core.values import Event

SIGNATURE_HEADER = "Weighbridge-Signature"
TOLERANCE_S = 300.0
_PART = re.compile(r"\s*([a-z0-9]+)=([0-9a-f]+)\s*")
_TIME = re.compile(r"[0-9]{1,15}")


def webhook_body(event: Event, webhook_id: int, delivery_id: str) -> bytes:
    """The document of an event: a line of the journal's export, with the webhook and the delivery behind it."""
    addressed = json.dumps({"webhook_id": webhook_id, "delivery_id": delivery_id})
    return f"{event_line(event)[:-1]}, {addressed[1:]}".encode()


def webhook_signature(secret: str, time_s: int, body: bytes) -> str:
    """The value of the header; ``time_s``: seconds since 1970."""
    return f"t={time_s},v1={_mac(secret, str(time_s), body)}"


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, tolerance_s: float | None = TOLERANCE_S
) -> Event:
    """Returns the event that a webhook posted, once it is proven to come from it.

    Take it into use after this, and once: it may come again, with the ``revision`` that it had. A test has revision 0.

    Args:
        secret: the webhook's.
        headers: those of the request, whatever their case.
        body: the request's body, as it came.
        tolerance_s: how long ago, by this machine's clock, it may have been signed, or how far ahead; None: any time.

    Raises:
        SignatureInvalid: there is no signature, it is not of this secret and this body, or it is too old.
        UsageError: what is signed is no event; or the body is text: what is read as text may not be what was signed.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise UsageError(f"the body is a {type(body).__name__}; give the bytes of the request as they came")
    body = bytes(body)
    signed_at, signatures = _parse(_header(headers))
    expected = _mac(secret, signed_at, body)
    if not any(hmac.compare_digest(expected, signature) for signature in signatures):
        raise SignatureInvalid(
            f"{SIGNATURE_HEADER} is not of this secret and this body: the secret is another webhook's, or was changed, "
            "or the body is not as it was sent"
        )
    age_s = time.time() - int(signed_at)
    if tolerance_s is not None and abs(age_s) > tolerance_s:
        when = f"{age_s:.0f} s ago" if age_s > 0 else f"{-age_s:.0f} s ahead of this machine's clock"
        raise SignatureInvalid(f"it was signed {when}; at most {tolerance_s:g} s are taken: it may be a copy")
    try:
        return parse_event_line(body)
    except UsageError as fault:
        raise UsageError(f"what is signed is not an event: {fault.message}") from fault


def _header(headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if name.lower() == SIGNATURE_HEADER.lower():
            return value
    raise SignatureInvalid(f"the request has no header {SIGNATURE_HEADER}")


def _parse(header: str) -> tuple[str, list[str]]:
    """The time, and every signature of the one kind that there is; other kinds may stand beside it."""
    parts = [match.groups() for match in map(_PART.fullmatch, header.split(",")) if match is not None]
    times = [value for name, value in parts if name == "t" and _TIME.fullmatch(value)]
    signatures = [value for name, value in parts if name == "v1"]
    if len(times) != 1 or not signatures:
        raise SignatureInvalid(f"{SIGNATURE_HEADER} is not t=SECONDS,v1=HEX")
    return times[0], signatures


def _mac(secret: str, time_text: str, body: bytes) -> str:
    return hmac.new(secret.encode(), time_text.encode() + b"." + body, hashlib.sha256).hexdigest()
