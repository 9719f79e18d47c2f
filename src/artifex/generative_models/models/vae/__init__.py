"""Variational autoencoders. Importing the family registers the builders of all its configs."""
