"""The control plane's settings."""

from typing import Annotated, ClassVar

from pydantic import Field

from llm_operator.environment import Environment, Port


class Settings(Environment):
    """All of it. Times are in seconds."""

    PREFIX: ClassVar[str] = "LLM_XDS_"

    port: Port = 18_000
    """gRPC: the aggregated discovery service, for clients."""
    leave_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 5.0
    """After SIGTERM: unready, but still there for who comes, for so long. Clients keep what they
    were told and go to another replica."""
