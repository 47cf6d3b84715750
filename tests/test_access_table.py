"""Closed by default: every RPC has a rule, asks for a token, and is refused where nothing is granted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

import weighbridge.v1
from auth_fixtures import AskingWho, asking
from weighbridge.core.principals import PrincipalKind
from weighbridge.core.values import Grant, Role
from weighbridge.v1 import models_pb2, models_pb2_grpc, versions_pb2, versions_pb2_grpc
from weighbridge_server.domain.access.authentication import Authenticated
from weighbridge_server.domain.access.callers import Caller
from weighbridge_server.services.access import AccessInterceptor
from weighbridge_server.services.access_table import ACCESS, Row
from weighbridge_server.services.authentication import AuthenticationInterceptor
from weighbridge_server.services.interceptor import CallInterceptor

__all__ = ["asking"]
MODEL = "secret.tabular.thing"
PATIENCE_S = 30
VALUES: dict[str, Any] = {
    "name": MODEL,
    "model": MODEL,
    "prefix": "secret",
    "ref": f"{MODEL}:1",
    "refs": [f"{MODEL}:1", f"{MODEL}:2"],
    "target": "production",
    "versions": MODEL,
    "alias": "production",
    "stage": versions_pb2.STAGE_PRODUCTION,
    "version": 1,
    "reason": "because",
    "comment": "because",
    "manifest_digest": f"b3:{'0' * 64}",
    "path": "weights.bin",
    "json_schema": "{}",
    "description": "x",
    "node": "eu-7",
    "writer": "w",
    "first_sequence": 1,
    "principal": "admin",
    "token_id": "0000000000000000",
    "kind": 1,
    "role": 1,
    "upload_id": "00000000-0000-0000-0000-000000000000",
    "url": "http://127.0.0.1/",
    "id": 1,
    "from_revision": 1,
}
"""A value that its rules allow, for each field that some request must have."""
REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED)
OF_ANYBODY = {"AdminService/WhoAmI"}
OF_AN_UPLOAD = {
    "VersionService/CommitVersion",
    "VersionService/AbortVersion",
    "VersionService/RenewUpload",
    "TransferService/FindMissingChunks",
    "TransferService/UploadChunks",
    "TransferService/PutManifest",
}


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the protos."""
    for module in pkgutil.iter_modules(weighbridge.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"weighbridge.v1.{module.name}").DESCRIPTOR
            yield from file.services_by_name.values()


METHODS = [method for service in services() for method in service.methods]


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def short(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}/{method.name}"


def request_of(method: MethodDescriptor) -> Message:
    """A request that keeps its rules, about things that nobody here was granted."""
    request = message_factory.GetMessageClass(method.input_type)()
    said = method.input_type.fields_by_name
    if "open" in said:
        request.open.upload_id = VALUES["upload_id"]  # type: ignore[attr-defined]
        return request
    for name, value in VALUES.items():
        of = said.get(name)
        if of is None or of.message_type is not None:
            continue
        if of.containing_oneof is not None and request.WhichOneof(of.containing_oneof.name):
            continue
        if of.is_repeated:
            getattr(request, name).extend(value)
        elif name == "target" and method.name in ("CheckSchema", "CreateWebhook"):
            request.target = MODEL  # type: ignore[attr-defined]
        else:
            setattr(request, name, value)
    if method.name == "LogMetrics":
        request.curves.add(name="loss")  # type: ignore[attr-defined]
    return request


def refusal(address: str, method: MethodDescriptor, token: str | None) -> tuple[grpc.StatusCode | None, str]:
    """How a call ends: its code, and the reason of an error."""
    request, metadata = request_of(method), [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        call: Any = getattr(channel, kind)(
            path(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        sent = iter([request]) if method.client_streaming else request
        try:
            answer = call(sent, metadata=metadata, timeout=PATIENCE_S)
            if method.server_streaming:
                next(answer, None)
        except grpc.RpcError as fault:
            status = rpc_status.from_call(fault)  # type: ignore[arg-type]
            info = error_details_pb2.ErrorInfo()
            for detail in status.details if status is not None else ():
                detail.Unpack(info)
            return fault.code(), info.reason
    return None, ""


def test_every_rpc_has_a_rule_and_no_rule_is_left_over() -> None:
    rules = {name for name in ACCESS if name.startswith("/weighbridge.")}
    assert rules == {path(method) for method in METHODS}
    assert len(METHODS) > 50


@pytest.mark.parametrize("method", METHODS, ids=short)
def test_without_a_token_nothing_is_answered(asking: AskingWho, method: MethodDescriptor) -> None:
    address = asking.server.address
    unauthenticated = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert refusal(address, method, None) == unauthenticated
    assert refusal(address, method, "wb_0123456789abcdef_no") == unauthenticated


@pytest.fixture(scope="module")
def nobody(asking: AskingWho) -> str:
    """A token of somebody who has no roles."""
    return asking.token().text


@pytest.fixture(scope="module")
def stranger(asking: AskingWho) -> str:
    """A token of somebody who may do everything to other models, but for being an admin."""
    return asking.token(("maintainer", "elsewhere"), ("approver", "elsewhere")).text


@pytest.mark.parametrize("method", METHODS, ids=short)
def test_without_a_role_nothing_is_done(asking: AskingWho, nobody: str, method: MethodDescriptor) -> None:
    found = refusal(asking.server.address, method, nobody)
    if short(method) in OF_ANYBODY:
        assert found == (None, "")
    elif short(method) in OF_AN_UPLOAD:
        assert found == (grpc.StatusCode.NOT_FOUND, "UPLOAD_NOT_FOUND")
    else:
        assert found == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


NARROWED = {"ModelService/ListModels", "LifecycleService/ListSchemas"}
"""What names no model, and lists what the caller reads."""


@pytest.mark.parametrize("method", METHODS, ids=short)
def test_a_role_elsewhere_is_none_here(asking: AskingWho, stranger: str, method: MethodDescriptor) -> None:
    found = refusal(asking.server.address, method, stranger)
    if short(method) in OF_ANYBODY | NARROWED:
        assert found == (None, "")
    elif short(method) in OF_AN_UPLOAD:
        assert found == (grpc.StatusCode.NOT_FOUND, "UPLOAD_NOT_FOUND")
    else:
        assert found == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


class Proven:
    """Takes any token for an administrator's."""

    def of(self, token: str | None) -> Authenticated:
        """Who it is."""
        return Authenticated(Caller("root", [Grant(Role.ADMIN, "*")]), PrincipalKind.PERSON, "0", ())


class Answering(models_pb2_grpc.ModelServiceServicer):
    """Answers one method."""

    def GetModel(self, request: models_pb2.GetModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        return models_pb2.Model(name=request.name)


@contextmanager
def guarded(table: Mapping[str, Row], *, recognising: bool = True) -> Iterator[models_pb2_grpc.ModelServiceStub]:
    """A stub of a server whose guard has a table of its own."""
    proven: Any = Proven()
    guard = AccessInterceptor(proven, lambda actor, upload: "", lambda: ["root"], table)
    before = [AuthenticationInterceptor(proven)] if recognising else []
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[CallInterceptor(), *before, guard])
    models_pb2_grpc.add_ModelServiceServicer_to_server(Answering(), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield models_pb2_grpc.ModelServiceStub(channel)
    server.stop(None).wait()


def test_what_has_no_rule_is_open_to_nobody() -> None:
    """As a new RPC would be that nobody thought of here: not even to an administrator."""
    asked = models_pb2.GetModelRequest(name=MODEL)
    with guarded(ACCESS) as stub:
        assert stub.GetModel(asked).name == MODEL
    without = {name: row for name, row in ACCESS.items() if not name.endswith("/GetModel")}
    with guarded(without) as stub, pytest.raises(grpc.RpcError) as refused:
        stub.GetModel(asked)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_the_guard_refuses_whom_nothing_proved() -> None:
    """It does not rely on what stands before it."""
    with guarded(ACCESS, recognising=False) as stub, pytest.raises(grpc.RpcError) as refused:
        stub.GetModel(models_pb2.GetModelRequest(name=MODEL))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_health_is_open_and_reflection_takes_any_token(asking: AskingWho, nobody: str) -> None:
    with grpc.insecure_channel(asking.server.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="*")
        with pytest.raises(grpc.RpcError) as refused:
            next(reflection.ServerReflectionInfo(iter([asked])))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        answer = next(reflection.ServerReflectionInfo(iter([asked]), metadata=[("authorization", f"Bearer {nobody}")]))
    assert "weighbridge.v1.AdminService" in {service.name for service in answer.list_services_response.service}


def test_a_stream_that_opens_nothing_is_refused(asking: AskingWho, nobody: str) -> None:
    by_name = {short(method): method for method in METHODS}
    for name in ("TransferService/UploadChunks", "TransferService/PutManifest"):
        with grpc.insecure_channel(asking.server.address) as channel:
            kind = "stream_stream" if by_name[name].server_streaming else "stream_unary"
            call: Any = getattr(channel, kind)(path(by_name[name]))
            with pytest.raises(grpc.RpcError) as refused:
                list(call(iter([]), metadata=[("authorization", f"Bearer {nobody}")], timeout=PATIENCE_S))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["a." * 1_500_000 + "a", "a" * 3_000_000, "a..b", "", "*"])
def test_what_can_be_no_name_is_refused_before_it_is_looked_for(asking: AskingWho, nobody: str, name: str) -> None:
    """However long it is: every prefix of it would be looked for among what is granted."""
    metadata = (("authorization", f"Bearer {nobody}"),)
    with grpc.insecure_channel(asking.server.address) as channel:
        models, versions = models_pb2_grpc.ModelServiceStub(channel), versions_pb2_grpc.VersionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            models.GetModel(models_pb2.GetModelRequest(name=name), metadata=metadata, timeout=PATIENCE_S)
        assert refused.value.code() in REFUSED
        with pytest.raises(grpc.RpcError) as refused:
            versions.GetVersion(versions_pb2.GetVersionRequest(ref=name), metadata=metadata, timeout=PATIENCE_S)
        assert refused.value.code() in REFUSED
