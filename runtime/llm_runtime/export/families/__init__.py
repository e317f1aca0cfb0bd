"""One module per architecture: how its configuration and tensor names become a decoder."""
