"""Who signs the operator's tokens: the API server's public OIDC documents, as pods need them."""

import logging
from dataclasses import dataclass
from typing import Any

from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError

logger = logging.getLogger(__name__)

CONFIGURATION_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"


@dataclass(slots=True)
class Authority:
    """The last issuer and keys that were read; None before the first time.

    Keys rotate rarely and with an overlap, so they are read once and refreshed at each resync.
    When a refresh fails, the last known ones stay: a pod that checks against them is still right.
    """

    client: KubeClient
    _known: tuple[str, dict[str, Any]] | None = None

    async def known(self) -> tuple[str, dict[str, Any]] | None:
        """Issuer and JWKS, read now if they never were."""
        if self._known is None:
            await self.refresh()
        return self._known

    async def refresh(self) -> None:
        """Reads both again."""
        try:
            configuration = await self.client.get_raw(CONFIGURATION_PATH)
            keys = await self.client.get_raw(KEYS_PATH)
        except KubeError as error:
            logger.warning("Token issuer could not be read", extra={"error": str(error)})
            return
        issuer = configuration.get("issuer")
        if not isinstance(issuer, str) or not isinstance(keys.get("keys"), list):
            logger.warning("Token issuer's documents are not what OIDC says")
            return
        self._known = issuer, {"keys": keys["keys"]}
