"""How a new revision replaces old ones. Pure."""
