"""The rows of the table, and programs compiled in a hurry."""

import jax
import pytest
from tests.contract.table import TABLE, make


@pytest.fixture(scope="module", autouse=True)
def _cheap_compilation():
    """No optimisation of machine code, half of what compilation costs; the programs are the same.

    Partitioning over devices, fusion and whatever else changes a program's structure stand before that.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


ROWS = [
    pytest.param(name, marks=[pytest.mark.slow] if entry.is_slow else []) for name, entry in TABLE.items()
]


@pytest.fixture(scope="module", params=ROWS)
def entry(request):
    """One row."""
    return TABLE[request.param]


@pytest.fixture(scope="module")
def model(entry):
    """Its model."""
    return make(entry)
