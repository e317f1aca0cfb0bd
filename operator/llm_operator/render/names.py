"""Every name of a child, in one place; `deployment` is the name of its LLMDeployment."""

RUNTIME_CONTAINER = "runtime"
FETCH_CONTAINER = "fetch"
EXPORT_STEPS = ("fetch", "export", "verify", "push")
"""Containers of the export pod in the order in which they run; the last is the main one."""


def service(deployment: str) -> str:
    return deployment


def headless_service(deployment: str) -> str:
    return f"{deployment}-pods"


def service_account(deployment: str) -> str:
    return deployment


def disruption_budget(deployment: str) -> str:
    return deployment


def network_policy(deployment: str) -> str:
    return deployment


def export_network_policy(deployment: str) -> str:
    return f"{deployment}-export"


def control_auth(deployment: str) -> str:
    return f"{deployment}-control-auth"


def export_job(deployment: str, key8: str) -> str:
    return f"{deployment}-export-{key8}"


def activator_slice(service: str) -> str:
    return f"{service}-activator"


def grpc_route(deployment: str) -> str:
    return deployment


def revision(deployment: str, hash8: str) -> str:
    """Of a revision's ControllerRevision, Deployment and Service."""
    return f"{deployment}-{hash8}"
