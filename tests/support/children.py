"""What a settled LLMDeployment consists of."""

CHILD_KINDS = [
    "ConfigMap",
    "ControllerRevision",
    "Deployment",
    "Job",
    "NetworkPolicy",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "Service",
    "Service",
    "ServiceAccount",
]
"""Kinds of its children, sorted, one entry a child."""
