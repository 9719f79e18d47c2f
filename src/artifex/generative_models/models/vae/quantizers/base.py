"""What all quantizers do: a grid of vectors to integer codes, codes to vectors, and the step of training."""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int, Key


class QuantizedBatch(eqx.Module):
    """A batch of grids after quantization, in training.

    Attributes:
        vectors: what the decoder sees: the codes' vectors, with the gradient of the encoder's output.
        codes: integer codes of each grid.
        commitment: weighted commitment loss of each example, summed over its grid.
        perplexity: exp of the entropy, in nats, of the codes' frequencies in the batch; between 1 and `num_codes`.
        quantizer: the same quantizer with new buffers.
    """

    vectors: Float[Array, "batch channels h w"]
    codes: Int[Array, "batch *grid"]
    commitment: Float[Array, " batch"]
    perplexity: Float[Array, ""]
    quantizer: Any


class AbstractQuantizer(eqx.Module):
    """A finite set of vectors with integer codes.

    `encode` and `decode` see one grid. Codes have the shape of the grid, `(h, w)`, with a leading axis of levels
    where several codes together stand for one vector.
    """

    @property
    @abc.abstractmethod
    def embedding_size(self) -> int:
        """Length of a vector: the channels of a grid."""

    @property
    @abc.abstractmethod
    def num_codes(self) -> int:
        """Codes lie in [0, num_codes), at each level."""

    @property
    @abc.abstractmethod
    def num_levels(self) -> int:
        """Codes for each vector."""

    @abc.abstractmethod
    def encode(self, z: Float[Array, "channels h w"]) -> Int[Array, "*grid"]:
        """Codes of one grid of the encoder's output."""

    @abc.abstractmethod
    def decode(self, codes: Int[Array, "*grid"]) -> Float[Array, "channels h w"]:
        """The vectors that one grid of codes stands for."""

    @abc.abstractmethod
    def quantize_batch(self, z: Float[Array, "batch channels h w"], *, key: Key[Array, ""]) -> QuantizedBatch:
        """Quantize a batch of grids in training, and learn from it what is learned without a gradient."""


def straight_through(value: Array, gradient_of: Array) -> Array:
    """Exactly `value`, with the gradient of `gradient_of`.

    Source: Bengio et al. 2013, arXiv:1308.3432. In this order of terms nothing is rounded.
    """
    return jax.lax.stop_gradient(value) + (gradient_of - jax.lax.stop_gradient(gradient_of))


def as_points(grids: Float[Array, "batch channels h w"]) -> Float[Array, "points channels"]:
    """All vectors of a batch of grids, in the order of a batch of `(h, w)` codes."""
    return grids.transpose(0, 2, 3, 1).reshape(-1, grids.shape[1])


def as_grids(points: Float[Array, "points channels"], like: Array) -> Float[Array, "batch channels h w"]:
    """The inverse of `as_points`, for grids of the shape of `like`."""
    batch, _, height, width = like.shape
    return points.reshape(batch, height, width, -1).transpose(0, 3, 1, 2)
