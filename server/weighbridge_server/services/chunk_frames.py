"""Uploaded chunks go past protobuf: one copy of each less, and no validation of bytes that are hashed anyway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from weighbridge.wire.chunk_frame import read_upload
from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour

_UPLOAD = "/weighbridge.v1.TransferService/UploadChunks"


class ChunkFrameInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Has ``UploadChunks`` receive chunks as ``EncodedChunk`` where their frame is the usual one."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, with another reader of requests."""
        handler: Any = continuation(handler_call_details)
        if handler is None or handler_call_details.method != _UPLOAD:
            return handler  # type: ignore[no-any-return]
        return with_behaviour(handler, behaviour_of(handler), request_deserializer=read_upload)
