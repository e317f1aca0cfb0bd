"""Speed and memory, measured side by side and reported as figures; nothing here is a test."""
