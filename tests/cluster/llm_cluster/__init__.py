"""A real Kubernetes on one Linux machine, without Docker: for the demo and the cluster tests."""
