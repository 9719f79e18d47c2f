"""Contracts, model families, and everything that trains, samples and measures them."""
