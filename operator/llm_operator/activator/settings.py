"""The activator's settings."""

from typing import Annotated, ClassVar

from pydantic import Field

from llm_operator.environment import Environment, Seconds

_LARGEST = 64 << 20


class Settings(Environment):
    """All of it. Times are in seconds, sizes in bytes."""

    PREFIX: ClassVar[str] = "LLM_ACTIVATOR_"

    max_held_bytes: int = Field(default=192 << 20, ge=1 << 20, le=1 << 40)
    """Requests held in memory, of all LLMDeployments together."""
    max_message_bytes: int = Field(default=1 << 20, ge=1 << 10, le=_LARGEST)
    """The largest message in either direction; the runtime's own limit is 1 MiB."""
    connection_age_seconds: Seconds = 5.0
    """After this a client's connection is sent away, so that the next one goes where the Service
    points then; its calls go on."""
    leave_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 10.0
    """After SIGTERM: unready, but still there for who comes, for so long: until nobody is sent here
    any more, and the connections of all who were have been sent away by their age."""
    grace_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 590.0
    """After that: for so long the calls go on that a pod answers; held ones are sent away."""
