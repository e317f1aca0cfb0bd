"""A real API server with the CRD, and one namespace per test."""

from support.place import place, server

__all__ = ["place", "server"]
