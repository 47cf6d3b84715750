"""What happens around every call: errors as statuses, one log line.

Servicers know none of this: they parse, call the domain and translate.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from weighbridge.core.errors import Cancelled, InternalError, WeighbridgeError
from weighbridge.wire.status import to_status
from weighbridge_server.services.actor import actor_of
from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour

_OURS = ("/weighbridge.", "/grpc.reflection.")
_log = structlog.get_logger("call")


class CallInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Wraps each method of the Weighbridge services and of reflection; health passes as it is."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped."""
        handler: Any = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not is_ours(method):
            return handler  # type: ignore[no-any-return]
        inner = behaviour_of(handler)

        def one(request: Any, context: grpc.ServicerContext) -> Message:
            with _call(method, context):
                response: Message = inner(request, context)
                return response

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
            with _call(method, context):
                yield from inner(request, context)

        return with_behaviour(handler, many if handler.response_streaming else one)


def is_ours(method: str) -> bool:
    """Whether a method is of the Weighbridge services or of reflection."""
    return method.startswith(_OURS)


@contextmanager
def _call(method: str, context: grpc.ServicerContext) -> Iterator[None]:
    """One call, from its first message to its last: logged once, its error turned into a status."""
    began = time.monotonic()
    failure: WeighbridgeError | None = None
    try:
        yield
    except WeighbridgeError as error:
        failure = error
    except GeneratorExit:
        failure = Cancelled("the client went away")
        raise
    except Exception as error:  # noqa: BLE001 - logged with an id, and told to the client as INTERNAL
        failure = _unforeseen(error, context)
    finally:
        _log_call(method, context, began, failure)
    if failure is not None and not isinstance(failure.__cause__, GeneratorExit):  # then nobody can be told any more
        context.abort_with_status(rpc_status.to_status(to_status(failure)))


def _unforeseen(error: Exception, context: grpc.ServicerContext) -> WeighbridgeError:
    if isinstance(error, grpc.RpcError) or not context.is_active():
        return Cancelled("the client went away")
    error_id = uuid.uuid4().hex[:12]
    _log.exception("internal error", error_id=error_id)
    return InternalError(
        f"the server failed in a way it should not; its log has the cause under {error_id}",
        details={"error_id": error_id},
    )


def _log_call(method: str, context: grpc.ServicerContext, began: float, failure: WeighbridgeError | None) -> None:
    facts = {
        "method": method.rpartition("/")[2],
        "actor": actor_of(context),
        "peer": context.peer(),
        "code": "OK" if failure is None else str(failure.code),
        "seconds": round(time.monotonic() - began, 4),
    }
    if failure is not None:
        facts |= {"reason": failure.reason, "error": failure.message}
    _log.info("call", **facts)
