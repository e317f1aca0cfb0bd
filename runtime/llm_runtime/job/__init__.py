"""The export Job: four steps in one pod that hand their state on through a file."""
