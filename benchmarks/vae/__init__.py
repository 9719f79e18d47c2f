"""One VAE training problem in several implementations, each a worker process."""
