"""What knows no model: contracts, configs, losses, distributions, randomness, precision."""
