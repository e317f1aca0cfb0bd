"""The product shown on a real cluster: the same steps are the cluster story that the tests check."""
