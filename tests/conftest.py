"""What holds for every test."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy machine must not turn a property into a flake; `timeout` of pytest bounds it.
settings.register_profile("repository", deadline=None)
settings.load_profile("repository")


@pytest.fixture(autouse=True, scope="session")
def _main_loop() -> Iterator[None]:
    """pytest-asyncio asks for the main thread's loop; Python 3.11 would make one nobody closes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
