"""An activator on loopback, and its client side."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from llm_operator.activator.port import Connections
from support.activation import Activation
from support.free_port import free_port


@pytest.fixture
async def activation() -> AsyncIterator[Activation]:
    """Connections outlive the test; nothing is ready, and the slice is there."""
    async with _running(age=600) as activation:
        yield activation


@pytest.fixture
async def ageing() -> AsyncIterator[Activation]:
    """The same where connections live for half a second. Answers that cross a connection's end can
    be lost: of a message that is too large, gRPC itself tells only after a while."""
    async with _running(age=0.5) as activation:
        yield activation


@asynccontextmanager
async def _running(age: float) -> AsyncIterator[Activation]:
    async with AsyncExitStack() as stack:
        activation = Activation(stack, free_port(), Connections(age=age, host="127.0.0.1"))
        stack.push_async_callback(activation.aclose)
        await activation.show()
        yield activation
