"""The LLMDeployment API: typed spec and conditions. Pure."""
