"""What keeps unit tests off the network works."""

import asyncio
import socket

import pytest


@pytest.mark.parametrize("reach", ["connect", "connect_ex", "bind"])
def test_a_unit_test_opens_neither_a_connection_nor_a_port(reach: str) -> None:
    with (
        socket.socket() as opened,
        pytest.raises(Exception, match="opens no connection and no port"),
    ):
        getattr(opened, reach)(("127.0.0.1", 0))


async def test_an_event_loop_still_runs_and_is_woken_from_another_thread() -> None:
    assert await asyncio.to_thread(lambda: 1) == 1
