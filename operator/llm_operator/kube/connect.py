"""How the operator finds and trusts its API server: the pod's service account, else a
kubeconfig."""

import sys

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import load_incluster_config
from kubernetes.aio.config.kube_config import load_kube_config

from llm_operator.kube.errors import UnreachableError


async def connect(kubeconfig: str = "") -> ApiClient:
    """A client for `kubeconfig`, else for the pod that we run in, else for the default kubeconfig.

    Raises UnreachableError with what to do when there is none of them.
    """
    configuration = Configuration(connection_pool_maxsize=0)  # one watch per kind and namespace
    configuration.client_session_kwargs = {"trust_env": False}  # no web proxy before the API server
    try:
        if kubeconfig:
            await _from_file(configuration, kubeconfig)
        else:
            await _from_pod(configuration)
    except ConfigException as error:
        raise UnreachableError(
            f"No API server is configured ({error}): run in a pod, or set KUBECONFIG"
        ) from error
    api = ApiClient(configuration)
    api.rest_client = _Connections(configuration)
    return api


class _Connections(RESTClientObject):
    """Connections that are all gone when the client is closed.

    A watch is ended by closing its connection, and aiohttp does not wait for the other side's half
    of TLS's farewell, nor end the connection without it, unless it keeps an eye on closed ones.
    """

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize,
            ssl=self.ssl_context,
            enable_cleanup_closed=sys.version_info < (3, 12),  # later ones need no eye
        )


async def _from_pod(configuration: Configuration) -> None:
    try:
        load_incluster_config(configuration)
    except ConfigException:
        await _from_file(configuration, None)


async def _from_file(configuration: Configuration, path: str | None) -> None:
    await load_kube_config(
        config_file=path, client_configuration=configuration, persist_config=False
    )
