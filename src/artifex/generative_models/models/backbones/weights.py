"""Random numbers that networks begin with, without a compilation for each shape.

XLA compiles a random draw anew for each shape, which takes a CPU 0.2 to 0.8 s; a small UNet has 27 shapes. Outside of
traced code the numbers come in pieces of one size, from one compiled program, and NumPy puts them together; in traced
code they are the same to rounding.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

_PIECE = 1 << 14


def truncated_normal_weights(
    shape: tuple[int, ...], deviation: float = 1.0, *, key: Key[Array, ""]
) -> Float[Array, "..."]:
    """Numbers of this standard deviation, from a normal distribution cut off at two of its own."""
    # 0.8796 is the standard deviation of a standard normal cut off at two of them.
    return _pieces(_truncated_normal, shape, deviation / 0.87962566, key)


def normal_weights(
    shape: tuple[int, ...], deviation: float = 1.0, *, key: Key[Array, ""]
) -> Float[Array, "..."]:
    """Normal numbers of mean 0."""
    return _pieces(jax.random.normal, shape, deviation, key)


def uniform_weights(
    shape: tuple[int, ...], limit: float = 1.0, *, key: Key[Array, ""]
) -> Float[Array, "..."]:
    """Numbers in [-limit, limit)."""
    return _pieces(_uniform, shape, limit, key)


def is_traced(*arrays: Array) -> bool:
    """Whether any of these stands for a value that is not known yet, as in `jit`, `vmap` or `eval_shape`."""
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def stacked(arrays: Sequence[Array]) -> Array:
    """Arrays along a new first axis, by NumPy outside of traced code."""
    return jnp.asarray(_numpy_of(*arrays).stack(arrays))


def _pieces(draw: Callable[..., Array], shape: tuple[int, ...], scale: float, key: Key[Array, ""]) -> Array:
    size = math.prod(shape)
    num = -(-size // _PIECE)
    if is_traced(key):
        pieces = [_piece(draw, key, jnp.arange(num))]
    else:
        pieces = [_piece(draw, key, np.arange(i, i + 1)) for i in range(num)]
    numbers = _numpy_of(*pieces).concatenate(pieces, axis=None)[:size].reshape(shape)
    return jnp.asarray(numbers * np.asarray(scale, numbers.dtype))


@functools.partial(jax.jit, static_argnums=0)
def _piece(
    draw: Callable[..., Array], key: Key[Array, ""], indices: Int[Array, " n"]
) -> Float[Array, "n piece"]:
    return jax.vmap(lambda i: draw(jax.random.fold_in(key, i), (_PIECE,)))(indices)


def _truncated_normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    return jax.random.truncated_normal(key, -2.0, 2.0, shape)


def _uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    return jax.random.uniform(key, shape, minval=-1.0)


def _numpy_of(*arrays: Array) -> Any:
    return jnp if is_traced(*arrays) else np
