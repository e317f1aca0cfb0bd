"""Typed client of the llm.v1 contract; `llm_client.v1` has the generated stubs."""

from llm_client.client import Client, connect
from llm_client.errors import (
    InvalidRequestError,
    LLMError,
    ModelNotFoundError,
    OverloadedError,
    ServerError,
    TimedOutError,
    UnavailableError,
)
from llm_client.request import Message, Options
from llm_client.results import Answer, Chunk, Finish, FinishReason, ModelInfo
from llm_client.sync import SyncClient, connect_sync

__all__ = [
    "Answer",
    "Chunk",
    "Client",
    "Finish",
    "FinishReason",
    "InvalidRequestError",
    "LLMError",
    "Message",
    "ModelInfo",
    "ModelNotFoundError",
    "Options",
    "OverloadedError",
    "ServerError",
    "SyncClient",
    "TimedOutError",
    "UnavailableError",
    "connect",
    "connect_sync",
]
