"""Speed comparisons with peers, side by side in one run: `python -m benchmarks.vae_step --help`."""
