"""Where models come from, how they are kept, and what is checked before one is loaded."""
