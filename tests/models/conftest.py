"""Programs compiled in a hurry."""

import jax
import pytest


@pytest.fixture(scope="module")
def cheap_compilation():
    """No optimisation of machine code, half of what compilation costs; the programs are the same."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
