"""One reconcile of an LLMDeployment: observe -> plan -> apply -> report."""
