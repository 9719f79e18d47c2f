"""The rows of the table, and programs compiled in a hurry."""

import jax
import pytest
from tests.contract.rows import rows
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


@pytest.fixture(scope="module", params=rows())
def entry(request):
    """One row."""
    return TABLE[request.param]


@pytest.fixture(scope="module")
def model(entry):
    """Its model."""
    return make(entry)
