"""Configs of the variational autoencoders: one file for each kind of latent variable."""
