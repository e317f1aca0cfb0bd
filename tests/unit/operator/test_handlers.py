"""An event becomes a key, and nothing else."""

import asyncio
from typing import Any

import kopf
import pytest
from kubernetes.aio.client.configuration import Configuration

from llm_operator.handlers import connection, notice, quiet
from llm_operator.kube.store import Key
from llm_operator.reconcile.queue import KeyedQueue
from llm_operator.reconcile.roster import Roster

BODY: dict[str, Any] = {
    "metadata": {"namespace": "n", "name": "llama", "resourceVersion": "7"},
    "spec": {"secret": "never looked at"},
}


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED", "DELETED"])
async def test_every_kind_of_event_adds_its_key(kind: str | None) -> None:
    queue: KeyedQueue[Key] = KeyedQueue()
    notice(kind, BODY, queue, Roster())
    seen: list[Key] = []

    async def work(key: Key) -> None:
        seen.append(key)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await queue.run(work, workers=1)
    assert seen == [Key("n", "llama")]


async def test_the_roster_knows_what_was_told() -> None:
    queue: KeyedQueue[Key] = KeyedQueue()
    roster = Roster()
    notice("ADDED", BODY, queue, roster)
    assert len(roster) == 1
    assert roster.audit({Key("n", "llama"): "7"}) == []
    notice("DELETED", BODY, queue, roster)
    assert len(roster) == 0


def test_kopf_writes_nothing_and_never_waits_for_ever() -> None:
    settings = quiet(kopf.OperatorSettings())
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert settings.watching.inactivity_timeout == 75
    assert settings.watching.server_timeout is not None
    assert settings.watching.client_timeout is not None
    assert settings.networking.request_timeout == 30


async def test_kopf_gets_the_same_credentials_as_our_own_client() -> None:
    configuration = Configuration(host="https://api:6443", ssl_ca_cert="/ca.crt")
    configuration.api_key["BearerToken"] = "bearer a-token"
    found = await connection(configuration)
    assert (found.server, found.ca_path) == ("https://api:6443", "/ca.crt")
    assert (found.scheme, found.token) == ("Bearer", "a-token")


async def test_a_client_certificate_needs_no_token() -> None:
    configuration = Configuration(host="https://api:6443")
    configuration.cert_file, configuration.key_file = "/tls.crt", "/tls.key"
    found = await connection(configuration)
    assert (found.certificate_path, found.private_key_path) == ("/tls.crt", "/tls.key")
    assert found.token is None
