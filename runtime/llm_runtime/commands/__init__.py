"""The subcommands of ``llm-runtime``, one module each with a ``command``."""
