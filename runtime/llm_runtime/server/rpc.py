"""Names for grpc's types: the generic ones exist only in its stubs."""

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

if TYPE_CHECKING:
    AsyncInterceptor = grpc.aio.ServerInterceptor[Any, Any]
    Interceptor = grpc.ServerInterceptor[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    AsyncInterceptor = grpc.aio.ServerInterceptor
    Interceptor = grpc.ServerInterceptor
    Handler = grpc.RpcMethodHandler
    Context = grpc.aio.ServicerContext

Trailers = tuple[tuple[str, str | bytes], ...]
"""Metadata that goes with the status of a call."""
