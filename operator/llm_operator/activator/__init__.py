"""The activator: a gRPC proxy that holds calls while an LLMDeployment has no pod."""
