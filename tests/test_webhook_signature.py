"""The signature of webhooks: the vectors hold, by a second computation too, and what is not signed is refused."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from weighbridge.core.event_text import parse_event_line
from weighbridge.core.webhook_signature import webhook_body, webhook_signature

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "protos" / "vectors.json").read_text())
SECRET = "a-secret-of-the-tests"


def each(section: str) -> pytest.MarkDecorator:
    """One test for each entry of a section."""
    return pytest.mark.parametrize("entry", VECTORS[section], ids=[entry["name"] for entry in VECTORS[section]])


def hmac_by_hand(key: bytes, message: bytes) -> str:
    """HMAC-SHA256 as RFC 2104 says, for keys of at most a block."""
    inner, outer = (bytes(byte ^ pad for byte in key.ljust(64, b"\0")) for pad in (0x36, 0x5C))
    return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).hexdigest()


@each("webhooks")
def test_the_header_is_what_the_spec_says(entry: dict[str, Any]) -> None:
    body = entry["body"].encode()
    again = hmac_by_hand(entry["secret"].encode(), f"{entry['time_s']}.".encode() + body)
    assert webhook_signature(entry["secret"], entry["time_s"], body) == f"t={entry['time_s']},v1={again}"
    assert entry["signature"] == f"t={entry['time_s']},v1={again}"


@each("webhooks")
def test_the_body_is_what_the_spec_says(entry: dict[str, Any]) -> None:
    body, said = entry["body"].encode(), json.loads(entry["body"])
    assert webhook_body(parse_event_line(body), said["webhook_id"], said["delivery_id"]) == body


@each("webhooks")
def test_what_is_signed_is_taken(entry: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "weighbridge-SIGNATURE": entry["signature"]}
    event = wb.verify_webhook(entry["secret"], headers, entry["body"].encode(), tolerance_s=None)
    assert (event.revision, event) == (entry["revision"], parse_event_line(entry["body"].encode()))


@each("webhook_signatures_accepted")
def test_one_of_several_signatures_is_enough(entry: dict[str, Any]) -> None:
    headers = {"Weighbridge-Signature": entry["signature"]}
    assert wb.verify_webhook(entry["secret"], headers, entry["body"].encode(), tolerance_s=None).revision == 1


@each("webhook_signatures_refused")
def test_what_is_not_signed_is_refused(entry: dict[str, Any]) -> None:
    headers = {"Weighbridge-Signature": entry["signature"]}
    with pytest.raises(wb.SignatureInvalid, match="Weighbridge-Signature"):
        wb.verify_webhook(entry["secret"], headers, entry["body"].encode(), tolerance_s=None)


def test_a_request_without_the_header_is_refused() -> None:
    with pytest.raises(wb.SignatureInvalid, match="no header Weighbridge-Signature"):
        wb.verify_webhook(SECRET, {"Content-Type": "application/json"}, b"{}")


@pytest.mark.parametrize(("ahead_s", "said"), [(-400, "s ago"), (400, "ahead of this machine's clock")])
def test_what_was_signed_at_another_time_is_refused(ahead_s: int, said: str) -> None:
    body = VECTORS["webhooks"][0]["body"].encode()
    headers = {"Weighbridge-Signature": webhook_signature(SECRET, int(time.time()) + ahead_s, body)}
    with pytest.raises(wb.SignatureInvalid, match=said):
        wb.verify_webhook(SECRET, headers, body)
    assert wb.verify_webhook(SECRET, headers, body, tolerance_s=1000).revision == 1


def test_text_and_what_is_no_event_are_refused() -> None:
    headers = {"Weighbridge-Signature": webhook_signature(SECRET, int(time.time()), b"[]")}
    with pytest.raises(wb.UsageError, match="not an event: it is not a JSON object"):
        wb.verify_webhook(SECRET, headers, b"[]")
    with pytest.raises(wb.UsageError, match="the body is a str"):
        wb.verify_webhook(SECRET, headers, "[]")  # type: ignore[arg-type]
