"""Builds the container images without a daemon: `scripts/images`."""
