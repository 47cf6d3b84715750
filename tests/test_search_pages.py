"""Pages of a list of versions: they hold what there was when the first was asked for, whatever is committed since."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunningServer
from raw_client import RawClient, refused
from search_catalogue import NAN, commit, points
from weighbridge.v1 import models_pb2, versions_pb2

NewModel = Callable[[], str]
Request = versions_pb2.ListVersionsRequest
LONG = "\x01🦊" * 200
ORDERS = (
    "",
    "metrics.accuracy desc",
    "metrics.accuracy",
    "metrics.accuracy * 2 desc, files_total",
    "tags.any",
    "tags.any desc, metrics.accuracy",
    "created_time",
    "tags.long, description desc, tags.any, metrics.accuracy desc",
    "tags.even desc, ref",
)


@pytest.fixture(scope="module")
def raw(server: RunningServer) -> Iterator[RawClient]:
    with RawClient(server.address) as raw:
        yield raw


@pytest.fixture(scope="module")
def model(raw: RawClient) -> str:
    """Nine versions: some alike, some without what is sorted by."""
    model = raw.create(f"pages.p{os.getpid()}.all")
    for number in range(9):
        add(raw, model, number)
    return model


def add(raw: RawClient, model: str, number: int) -> None:
    anything: list[wb.Scalar] = [number, "x", True, number / 2, "ÿ", False]
    tags: dict[str, wb.Scalar] = {"long": LONG + str(number % 2), "even": number % 2 == 0}
    if number % 4:
        tags["any"] = anything[number % 6]
    accuracy = [0.5, 0.5, NAN, 0.1 * number][number % 4]
    metrics = points("accuracy", accuracy) if number % 3 else []
    record = wb.Record(tags=tags, description=LONG)
    commit(raw, model, record, metrics, f"{number}".encode())


def page(raw: RawClient, request: Request) -> tuple[list[int], str]:
    answer = raw.versions.ListVersions(request)
    return [version.version for version in answer.versions], answer.next_page_token


@pytest.mark.parametrize("order_by", ORDERS)
def test_what_is_committed_meanwhile_neither_repeats_nor_displaces(
    raw: RawClient, model: str, new_model: NewModel, order_by: str
) -> None:
    model = raw.create(new_model())
    for number in range(7):
        add(raw, model, number)
    whole, _ = page(raw, Request(model=model, order_by=order_by))
    assert sorted(whole) == list(range(1, 8))
    seen: list[int] = []
    token = ""
    for number in range(100, 120):
        found, token = page(raw, Request(model=model, order_by=order_by, page_size=2, page_token=token))
        seen += found
        if not token:
            break
        assert len(token) <= 4096, "what the contract lets a client send back"
        add(raw, model, number)  # it would be the first of some orders, in the middle of others
    assert seen == whole
    assert len(page(raw, Request(model=model, order_by=order_by))[0]) > len(whole), "a new list has them"


def test_pages_may_be_of_any_size(raw: RawClient, model: str) -> None:
    request = Request(model=model, order_by="tags.any, metrics.accuracy desc", filter="version != 5")
    whole, _ = page(raw, request)
    for size in (1, 3, 7, 8, 9):
        seen, token = page(raw, but(request, page_size=size))
        while token:
            size = 2  # another one for each page, too
            found, token = page(raw, but(request, page_size=size, page_token=token))
            assert found
            seen += found
        assert seen == whole


def test_what_is_deleted_meanwhile_is_left_out(raw: RawClient, client: wb.Client, new_model: NewModel) -> None:
    model = raw.create(new_model())
    for number in range(6):
        add(raw, model, number)
    first, token = page(raw, Request(model=model, page_size=2))
    for gone in (5, 4):  # where the next page begins, and what it begins with
        client.delete_version(f"{model}:{gone}", reason="a test")
    rest, token = page(raw, Request(model=model, page_size=10, page_token=token))
    assert (first, rest, token) == ([6, 5], [3, 2, 1], "")


def but(request: Request, **changes: Any) -> Request:
    """The same request, but for these fields."""
    changed = Request()
    changed.CopyFrom(request)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def test_a_token_is_good_for_its_own_list_only(raw: RawClient, model: str, new_model: NewModel) -> None:
    asked = Request(model=model, filter="version > 0", order_by="metrics.accuracy desc")
    _, token = page(raw, but(asked, page_size=2))
    assert page(raw, but(asked, page_size=2, page_token=token))[0]
    assert page(raw, but(asked, filter=f"  {asked.filter} ", page_token=token))[0], (
        "white space around makes no other list"
    )
    other = raw.create(new_model())
    add(raw, other, 1)
    for change in (
        {"model": other},
        {"model": ""},
        {"filter": "version > 1"},
        {"order_by": "metrics.accuracy"},
        {"order_by": ""},
        {"show_deleted": True},
        {"manifest_digest": "b3:" + "0" * 64},
    ):
        refusal = refused(lambda change=change: page(raw, but(asked, page_token=token, **change)))  # type: ignore[misc]
        assert (refusal.reason, [path for path, _ in refusal.violations]) == ("INVALID_REQUEST", ["page_token"])
    models = raw.models.ListModels(models_pb2.ListModelsRequest(page_size=1)).next_page_token
    assert refused(lambda: page(raw, Request(page_token=models))).reason == "INVALID_REQUEST"


def test_what_nobody_was_given_is_no_token(raw: RawClient, model: str) -> None:
    asked = Request(model=model, order_by="metrics.accuracy desc, created_time, tags.any")
    _, token = page(raw, but(asked, page_size=2))
    digest, newest, section, keys, version_id = json.loads(base64.urlsafe_b64decode(token))
    assert page(raw, but(asked, page_token=forged([digest, newest, section, keys, version_id])))[0]
    for wrong in (
        "x",
        "=",
        forged([]),
        forged({}),
        forged("x"),
        forged([digest, newest, section, keys]),
        forged(["0" * 32, newest, section, keys, version_id]),
        forged([digest, -1, section, keys, version_id]),
        forged([digest, 2**63, section, keys, version_id]),
        forged([digest, "x", section, keys, version_id]),
        forged([digest, newest, 7, keys, version_id]),
        forged([digest, newest, -1, keys, version_id]),
        forged([digest, newest, section, [], version_id]),
        forged([digest, newest, section, [None, *keys[1:]], version_id]),
        forged([digest, newest, section, ["0.5", *keys[1:]], version_id]),
        forged([digest, newest, section, [True, *keys[1:]], version_id]),
        forged([digest, newest, section, [0.5, 0.5, *keys[2:]], version_id]),
        forged([digest, newest, section, [0.5, {"time": 10**30}, *keys[2:]], version_id]),
        forged([digest, newest, section, [0.5, {"tim": 1}, *keys[2:]], version_id]),
        forged([digest, newest, section, [[], *keys[1:]], version_id]),
        forged([digest, newest, section, [*keys[:3], "\ud800", None], version_id]),
        forged([digest, newest, section, keys, None]),
        base64.urlsafe_b64encode(b"[" * 2000).decode(),
    ):
        refusal = refused(lambda wrong=wrong: page(raw, but(asked, page_token=wrong)))  # type: ignore[misc]
        assert (refusal.reason, [path for path, _ in refusal.violations]) == ("INVALID_REQUEST", ["page_token"])


def forged(what: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(what).encode()).decode()
