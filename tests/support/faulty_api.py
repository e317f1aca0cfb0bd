"""An API client whose server fails as a test says: statuses, Retry-After, or nobody there."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from kubernetes.aio.client.rest import RESTResponse

from support.operator_life import CutApi


@dataclass(slots=True)
class Refusal:
    """An answer that no server gave."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    async def read(self) -> bytes:
        return json.dumps({"reason": "Injected", "message": f"fault {self.status}"}).encode()

    def release(self) -> None:
        """There is no connection to give back."""

    close = release


@dataclass(slots=True)
class _Answer:
    response: Refusal


Fault = Callable[[str, str, int], Refusal | None]
"""From method, path and how often this call was made before, to what goes wrong."""


class FaultyApi(CutApi):
    """Asks `fault` before each call but those for Leases."""

    fault: Fault = staticmethod(lambda _method, _path, _before: None)
    is_down = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.refused = 0

    async def call_api(
        self,
        method: Any,
        url: Any,
        header_params: Any = None,
        body: Any = None,
        post_params: Any = None,
        _request_timeout: Any = None,
        _preload_content: Any = True,
    ) -> RESTResponse:
        if self.is_down:
            self.refused += 1
            raise ConnectionRefusedError("injected")
        path = url.partition("?")[0].removeprefix(self.configuration.host)
        if "/leases" not in path:
            before = self.calls[method, path]
            self.calls[method, path] += 1
            refusal = self.fault(method, path, before)
            if refusal is not None:
                return cast(RESTResponse, _Answer(refusal))
        return await super().call_api(
            method, url, header_params, body, post_params, _request_timeout, _preload_content
        )
