"""What XLA is told when it compiles a program."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp

F = TypeVar("F", bound=Callable[..., Any])

_FUSIONS = "xla_cpu_experimental_ynn_fusion_type"
_ALL_BUT_CONVOLUTIONS = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"


@functools.cache
def compiler_options(platform: str) -> dict[str, str]:
    """Options for `jax.jit`, of the outermost program alone: JAX refuses them inside of another.

    On CPUs XLA leaves convolutions, products and sums to YNNPACK (jax 0.10), which computes convolutions of fewer than
    some 90 channels on one core. Those of Eigen, used here, take all cores: on two, a training step of a small UNet
    takes 0.87 of the time, and its evaluation for samples 0.63 to 0.82. A compiler that does not know the option goes
    without it.

    Args:
        platform: of the devices, such as "cpu".
    """
    if platform != "cpu":
        return {}
    options = {_FUSIONS: _ALL_BUT_CONVOLUTIONS}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if _FUSIONS not in str(error):
            raise
        return {}
    return options


def compiled(function: F) -> F:
    """`eqx.filter_jit`, with these options where the program is the outermost one, not part of another."""
    jit: Any = eqx.filter_jit
    inner = jit(function)

    @functools.cache
    def outermost(platform: str) -> Callable[..., Any]:
        return jit(function, compiler_options=compiler_options(platform))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        # A new array is traced inside of `jit`, arguments inside of `vmap` and `grad`.
        leaves = (jnp.zeros(()), *jax.tree.leaves((args, kwargs)))
        is_part = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        return (inner if is_part else outermost(jax.default_backend()))(*args, **kwargs)

    return call  # type: ignore[return-value]
