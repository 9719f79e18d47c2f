"""PRNG helpers: typed keys only, one key for each example."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key


def check_key(key: Any) -> None:
    """Raise unless `key` is one typed key.

    Raises:
        TypeError: it is None, an int, or a raw `jax.random.PRNGKey` array.
        ValueError: it is an array of keys.
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(f"`key` must be a typed key; got {key!r}. Make one with jax.random.key(seed).")
    if key.shape != ():
        raise ValueError(f"`key` must be one key; got an array of shape {key.shape}")


def example_keys(key: Key[Array, ""], num: int, *, first: int = 0) -> Key[Array, " num"]:
    """Keys of examples `first, ..., first + num - 1`: key `i` is `fold_in(key, i)`, whatever `num`.

    So example `i` is the same in a batch of any size, in any chunk, on any number of devices.
    """
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(num))
