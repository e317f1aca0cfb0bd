"""How many pods there should be: what pods report, what follows from it, and who asks."""
