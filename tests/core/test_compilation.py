"""Options of the compiler: right for the platform, and gone without where they are unknown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core import compilation
from artifex.generative_models.core.compilation import compiled, compiler_options


@pytest.fixture(autouse=True)
def fresh():
    """Nothing is remembered from or for other tests."""
    compiler_options.cache_clear()
    yield
    compiler_options.cache_clear()


def test_convolutions_are_not_those_of_one_core(key):
    """A convolution of few channels stays with XLA, products do not change hands, and the values stay."""

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    x, kernel = jax.random.normal(key, (4, 8, 8, 32)), jax.random.normal(key, (3, 3, 32, 32))
    ours = jax.jit(convolve, compiler_options=compiler_options("cpu")).lower(x, kernel).compile()
    assert compiler_options("cpu") and "ynn" not in ours.as_text()
    np.testing.assert_allclose(ours(x, kernel), jax.jit(convolve)(x, kernel), rtol=1e-4, atol=1e-4)
    a = jnp.ones((512, 512))
    with_options = jax.jit(jnp.matmul, compiler_options=compiler_options("cpu")).lower(a, a).compile()
    without = jax.jit(jnp.matmul).lower(a, a).compile()
    assert ("ynn" in with_options.as_text()) == ("ynn" in without.as_text())


def test_other_platforms_and_other_compilers(monkeypatch):
    """No options elsewhere, nor for a compiler that does not know them; another error is an error."""
    assert compiler_options("gpu") == {}
    with monkeypatch.context() as patch:
        patch.setattr(compilation, "_FUSIONS", "xla_cpu_unheard_of")
        assert compiler_options("cpu") == {}
    compiler_options.cache_clear()

    def broken(*args, **kwargs):
        raise jax.errors.JaxRuntimeError("out of memory")

    monkeypatch.setattr(jax, "jit", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
        compiler_options("cpu")


def test_options_of_the_outermost_program_alone(monkeypatch):
    """A compiled function has them where it is called from Python, and works under `jit`, `vmap` and `grad`."""
    options = compiler_options("cpu")
    told, traces, jit = [], [], jax.jit

    def listening(*args, **kwargs):
        told.append(kwargs.get("compiler_options"))
        return jit(*args, **kwargs)

    monkeypatch.setattr(jax, "jit", listening)

    @compiled
    def double(x):
        traces.append(None)
        return 2.0 * x

    x = jnp.arange(3.0)
    for _ in range(2):
        np.testing.assert_array_equal(double(x), [0.0, 2.0, 4.0])
    assert len(traces) == 1
    assert told.count(options) == 1
    np.testing.assert_array_equal(jit(lambda x: double(x))(x), [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(jit(lambda: double(np.arange(3.0)))(), [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(jax.vmap(double)(x), [0.0, 2.0, 4.0])
    assert jax.grad(lambda x: double(x).sum())(x).tolist() == [2.0, 2.0, 2.0]
