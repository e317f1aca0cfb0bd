"""The product shown on a real cluster: the same steps that the end-to-end tests check."""
