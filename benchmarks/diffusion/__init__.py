"""Workers of the comparison of diffusion models."""
