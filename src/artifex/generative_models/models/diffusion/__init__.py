"""Diffusion and flow matching."""
