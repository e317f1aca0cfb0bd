"""A real API server with the CRD, and one namespace per test."""

from support.place import place, server
from support.scaling_stage import stage

__all__ = ["place", "server", "stage"]
