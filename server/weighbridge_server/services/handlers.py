"""gRPC's handlers, taken apart and put together again: what interceptors wrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Serialized:
    """An answer that is bytes already."""

    __slots__ = ("frame",)

    def __init__(self, frame: bytes) -> None:
        self.frame = frame


def behaviour_of(handler: Any) -> Callable[[Any, grpc.ServicerContext], Any]:
    """The servicer's method: takes a request or an iterator of them, returns an answer or an iterator."""
    behaviour: Callable[[Any, grpc.ServicerContext], Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return behaviour


def with_behaviour(
    handler: Any,
    behaviour: Callable[..., Any],
    *,
    request_streaming: bool | None = None,
    request_deserializer: Callable[[bytes], Any] | None = None,
) -> Handler:
    """The same handler with another method in it, whose answers may be ``Serialized``.

    Args:
        handler: what is wrapped.
        behaviour: the method.
        request_streaming: whether the method takes an iterator of requests; as the handler's, when not given.
        request_deserializer: what makes a request of its bytes; as the handler's, when not given.
    """

    def serialize(answer: Any) -> bytes:
        return answer.frame if isinstance(answer, Serialized) else handler.response_serializer(answer)

    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming if request_streaming is None else request_streaming, handler.response_streaming]
    made: Handler = make(
        behaviour,
        request_deserializer=request_deserializer or handler.request_deserializer,
        response_serializer=serialize,
    )
    return made
