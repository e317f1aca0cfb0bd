"""Names for grpc's types of a call whose messages stay bytes; they exist only in its stubs."""

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # stubs lack it

if TYPE_CHECKING:
    ClientCall = grpc.aio.StreamStreamCall[bytes, bytes]
    Context = grpc.aio.ServicerContext[bytes, bytes]
    GenericHandler = grpc.GenericRpcHandler[bytes, bytes]
    Handler = grpc.RpcMethodHandler[bytes, bytes]
    Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    ClientCall = grpc.aio.StreamStreamCall
    Context = grpc.aio.ServicerContext
    GenericHandler = grpc.GenericRpcHandler
    Handler = grpc.RpcMethodHandler
    Interceptor = grpc.aio.ServerInterceptor

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
"""Ends a stream that is read."""

HealthServicer: Any = health_aio.HealthServicer
