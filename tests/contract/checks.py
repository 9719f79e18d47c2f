"""Comparisons of trees of arrays."""

import jax
import numpy as np


def assert_close(actual, expected, *, rtol=1e-5, atol=1e-5):
    """Every leaf agrees."""
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=rtol, atol=atol), actual, expected)


def differs(a, b):
    """Whether any leaf differs."""
    return any(not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
