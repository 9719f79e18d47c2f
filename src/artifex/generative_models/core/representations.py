"""Representations: what a modality stores, and what a model sees of it.

`encode(data) -> x` and `decode(x) -> data` are inverse to each other as far as the docstring of the representation
says. `log_det` is what turns a model's log-probability of `x` into one of the stored data,

    log p(data) = log p(x) + log_det(data),

so that bits per dimension can be compared between families. Where `encode` adds noise to integers (dequantization)
and maps the result to reals, the left side is a lower bound for one draw of the noise, and `log_det` is the
log-determinant of the map. Where `x` takes one value for each stored value, probabilities do not change: it is 0.
"""

import abc
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.random import check_key, example_keys

Support = Literal["binary", "levels", "real", "tokens", "unknown"]


class AbstractRepresentation(eqx.Module):
    """An invertible pair of functions between stored data and a model's inputs.

    Attributes:
        is_stochastic: whether `encode` draws anew at every call and so needs a key.
        support: what the entries of `x` are: `"binary"` (0 or 1), `"levels"` (equally spaced real numbers),
            `"real"` (numbers with a density), `"tokens"` (integers) or `"unknown"`. Log-probabilities of `x` mean
            something for the stored data only if the model's likelihood has the same support.
    """

    is_stochastic: eqx.AbstractClassVar[bool]
    support: eqx.AbstractClassVar[Support]

    @abc.abstractmethod
    def _encode_one(self, data: PyTree[Array], *, key: Key[Array, ""] | None) -> PyTree[Array]:
        """One stored example as the model sees it."""

    @abc.abstractmethod
    def _decode_one(self, x: PyTree[Array]) -> PyTree[Array]:
        """One example as it is stored."""

    @abc.abstractmethod
    def _log_det_one(self, data: PyTree[Array], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        """`log p(data) - log p(x)` of one example, in nats."""

    def encode(
        self,
        data: PyTree[Array | np.ndarray],
        *,
        key: Key[Array, ""] | Key[Array, " batch"] | None = None,
    ) -> PyTree[Array]:
        """Stored examples as the model sees them.

        Args:
            data: batch of stored examples, with a leading axis.
            key: for stochastic representations: one key, of which example `i` gets `fold_in(key, i)`, or one key
                for each example.

        Raises:
            ValueError: the representation is stochastic and there is no key.
        """
        data = jax.tree.map(jnp.asarray, data)
        return _encode(self, data, self._keys(data, key))

    def decode(self, x: PyTree[Array | np.ndarray]) -> PyTree[Array]:
        """Examples as they are stored, from a batch of the model's."""
        return _decode(self, jax.tree.map(jnp.asarray, x))

    def log_det(
        self,
        data: PyTree[Array | np.ndarray],
        *,
        key: Key[Array, ""] | Key[Array, " batch"] | None = None,
    ) -> Float[Array, " batch"]:
        """What to add to `log p(x)` of each example to get `log p(data)`, in nats.

        Args:
            data: batch of stored examples.
            key: the key that `encode` had, so that both mean the same draw.
        """
        data = jax.tree.map(jnp.asarray, data)
        return _log_det(self, data, self._keys(data, key))

    def x_shape(self, data_shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.uint8) -> tuple[int, ...]:
        """Shape of the array that one stored array of shape `data_shape` is encoded as."""
        data = jax.ShapeDtypeStruct(data_shape, dtype)
        key = jax.eval_shape(jax.random.key, 0) if self.is_stochastic else None
        return jax.eval_shape(lambda data, key: self._encode_one(data, key=key), data, key).shape

    def _keys(self, data: PyTree[Array], key: Key[Array, "..."] | None) -> Key[Array, " batch"] | None:
        if not self.is_stochastic:
            return None
        if key is None:
            raise ValueError(f"{type(self).__name__} draws anew at every call: give `key`")
        if getattr(key, "ndim", 0) == 1:
            return key
        check_key(key)
        return example_keys(key, jax.tree.leaves(data)[0].shape[0])


class Identity(AbstractRepresentation):
    """The model sees what is stored: floats as float32, integers as int32, booleans as 0.0 and 1.0."""

    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "unknown"

    def _encode_one(self, data: PyTree[Array], *, key: Key[Array, ""] | None) -> PyTree[Array]:
        # Arithmetic on 8-bit integers overflows in silence, so they never reach a model.
        return jax.tree.map(
            lambda leaf: leaf.astype(jnp.int32 if jnp.issubdtype(leaf.dtype, jnp.integer) else jnp.float32),
            data,
        )

    def _decode_one(self, x: PyTree[Array]) -> PyTree[Array]:
        return x

    def _log_det_one(self, data: PyTree[Array], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


@eqx.filter_jit
def _encode(representation, data, keys):
    return jax.vmap(lambda data, key: representation._encode_one(data, key=key))(data, keys)


@eqx.filter_jit
def _decode(representation, x):
    return jax.vmap(representation._decode_one)(x)


@eqx.filter_jit
def _log_det(representation, data, keys):
    return jax.vmap(lambda data, key: representation._log_det_one(data, key=key))(data, keys)
