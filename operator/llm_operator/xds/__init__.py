"""The xDS control plane: tells gRPC clients which pods there are and how to share calls among
them."""
