"""An activator on loopback, and its client side."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from llm_operator.activator.port import Connections
from support.activation import Activation
from support.free_port import free_port


@pytest.fixture
async def activation() -> AsyncIterator[Activation]:
    """Connections live for half a second; nothing is ready, and the slice is there."""
    async with AsyncExitStack() as stack:
        activation = Activation(stack, free_port(), Connections(age=0.5, host="127.0.0.1"))
        stack.push_async_callback(activation.aclose)
        await activation.show()
        yield activation
