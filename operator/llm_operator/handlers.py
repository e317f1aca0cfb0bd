"""The only kopf decorators. An event of an LLMDeployment becomes a key in the queue, and that is
all.

kopf is used for what it does well: finding the CRD, list and watch of our objects, signals, start
and stop. It keeps no state on the objects: no finalizer, no annotation, no posted events.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import kopf
from kubernetes.aio.client.configuration import Configuration

from llm_operator.kube.resources import LLM_DEPLOYMENT
from llm_operator.kube.store import Key
from llm_operator.reconcile.queue import KeyedQueue
from llm_operator.reconcile.roster import Roster

logger = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]


def register(
    registry: kopf.OperatorRegistry, queue: KeyedQueue[Key], roster: Roster, login: Configuration
) -> None:
    """Registers the handlers of our kind."""

    @kopf.on.login(registry=registry)
    async def authenticate(**_: Any) -> kopf.ConnectionInfo:
        return await connection(login)

    @kopf.on.event(
        LLM_DEPLOYMENT.group, LLM_DEPLOYMENT.version, LLM_DEPLOYMENT.plural, registry=registry
    )
    async def noticed(type: str | None, body: kopf.Body, **_: Any) -> None:
        notice(type, body, queue, roster)


def register_lifecycle(registry: kopf.OperatorRegistry, start: Step, stop: Step) -> None:
    """Registers what runs before the first event and after the last one."""

    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def starting(**_: Any) -> None:
        await start()

    @kopf.on.cleanup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def stopping(**_: Any) -> None:
        await stop()


def notice(
    event_type: str | None, body: Mapping[str, Any], queue: KeyedQueue[Key], roster: Roster
) -> None:
    """Takes the key out of an event and drops the rest."""
    metadata = body["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    if event_type == "DELETED":
        roster.lost(key)
    else:
        roster.saw(key, metadata["resourceVersion"])
    queue.add(key)


def quiet(settings: kopf.OperatorSettings) -> kopf.OperatorSettings:
    """kopf without side effects, and with time-outs on everything that could hang.

    The watch times are those that kept other operators' watches from dying silently (kopf #585,
    #847, #957): the server ends a stream after 300 s, the client 10 s later, and silence counts
    as death.
    """
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True  # no rights on CRDs and namespaces
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 75
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.execution.max_workers = 1  # all handlers are coroutines
    return settings


async def connection(configuration: Configuration) -> kopf.ConnectionInfo:
    """Our client's credentials for kopf's; asked again whenever the server refuses them."""
    header = await configuration.get_api_key_with_prefix("BearerToken")
    _, _, token = (header or "").partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=token or None,
        scheme="Bearer" if token else None,
    )
