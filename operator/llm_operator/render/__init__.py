"""The desired children, one Kubernetes object per file. Pure."""
