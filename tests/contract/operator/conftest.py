"""A real API server with the CRD, and one namespace per test."""

from support.gateway_api import gateway_api
from support.place import place, server
from support.scaling_stage import stage

__all__ = ["gateway_api", "place", "server", "stage"]
