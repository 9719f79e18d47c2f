"""Representations of pictures.

Stored pictures are integers `v` in [0, L - 1] of shape (channels, height, width), where `L` is the number of levels.

    unit interval      x = v / (L - 1)
    symmetric          x = 2 v / (L - 1) - 1
    binarized          x ~ Bernoulli(v / (L - 1)), or x = 1 where v > (L - 1) / 2
    dequantized        x = (v + u) / L,                                  u ~ Uniform(0, 1)
    logit              x = logit(alpha + (1 - 2 alpha) (v + u) / L)
    discrete           x = v

`decode` gives back `v` exactly in all of them but the binarized ones, where it gives the black and white picture
(and for grey values, such as a model's probabilities, the nearest level).

Source: Theis et al. 2016, arXiv:1511.01844, section 3.1 (uniform noise makes a density's likelihood a lower bound of
the discrete one); Dinh et al. 2017, arXiv:1605.08803, section 4.1 (logit; the paper squeezes to [alpha, 1], its code
and ours to [alpha, 1 - alpha]); Salakhutdinov and Murray 2008 and Burda et al. 2016, arXiv:1509.00519, appendix D
(binarization with the grey values as probabilities).
"""

import abc
import math
from functools import singledispatch
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer, Key, Num

from artifex.generative_models.core.configuration import (
    BinarizedConfig,
    DequantizedConfig,
    DiscreteConfig,
    ImageRepresentationConfig,
    LogitConfig,
    SymmetricConfig,
    UnitIntervalConfig,
)
from artifex.generative_models.core.representations import AbstractRepresentation, Support


class AbstractImageRepresentation(AbstractRepresentation):
    """A representation of integer pictures.

    Attributes:
        num_levels: number of values of a stored pixel, from 0 to `num_levels - 1`.
    """

    num_levels: eqx.AbstractVar[int]

    @abc.abstractmethod
    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Grey values from 0 to 1 of one encoded picture, not rounded."""

    def _decode_one(self, x: Num[Array, "*shape"]) -> Integer[Array, "*shape"]:
        levels = jnp.clip(jnp.round(self._unit_one(x) * (self.num_levels - 1)), 0, self.num_levels - 1)
        return levels.astype(jnp.uint8 if self.num_levels <= 256 else jnp.int32)


class UnitInterval(AbstractImageRepresentation):
    """Levels as numbers from 0 to 1."""

    num_levels: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "levels"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        return _unit(data, self.num_levels)

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return x

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


class Symmetric(AbstractImageRepresentation):
    """Levels as numbers from -1 to 1."""

    num_levels: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "levels"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        return 2.0 * _unit(data, self.num_levels) - 1.0

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return (x + 1.0) / 2.0

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


class ThresholdBinarized(AbstractImageRepresentation):
    """White above half of the greatest level, black elsewhere."""

    num_levels: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "binary"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        return jnp.asarray(_unit(data, self.num_levels) > 0.5, jnp.float32)

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return x

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


class FixedBinarized(AbstractImageRepresentation):
    """White with the grey value as probability, drawn once for each picture.

    The draw depends on the picture and the seed alone, so it is the same in every epoch and every run.
    """

    num_levels: int = eqx.field(static=True)
    seed: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "binary"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        # The picture itself, hashed, says which draw is its own: stored pictures need no number that goes with them.
        weights = (jnp.arange(data.size, dtype=jnp.uint32) * jnp.uint32(2654435761)) | jnp.uint32(1)
        mixed = (data.reshape(-1).astype(jnp.uint32) + 1) * weights
        own = jax.random.fold_in(jax.random.key(self.seed), jnp.sum(mixed ^ (mixed >> 15), dtype=jnp.uint32))
        return _bernoulli(data, self.num_levels, own)

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return x

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


class DynamicBinarized(AbstractImageRepresentation):
    """White with the grey value as probability, drawn anew each time."""

    num_levels: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = True
    support: ClassVar[Support] = "binary"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        return _bernoulli(data, self.num_levels, key)

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return x

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


class Dequantized(AbstractImageRepresentation):
    """Levels with uniform noise, as real numbers from 0 to 1."""

    num_levels: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = True
    support: ClassVar[Support] = "real"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        return self._stretch(_noisy(data, self.num_levels, key))

    def _stretch(self, noisy: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return noisy / self.num_levels

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return _floor_unit(x, self.num_levels)

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.asarray(-data.size * math.log(self.num_levels), jnp.float32)


class Logit(AbstractImageRepresentation):
    """Dequantized, then stretched to all real numbers."""

    num_levels: int = eqx.field(static=True)
    alpha: float = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = True
    support: ClassVar[Support] = "real"

    def _encode_one(
        self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None
    ) -> Float[Array, "*shape"]:
        return self._stretch(_noisy(data, self.num_levels, key))

    def _squeeze(self, noisy: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self.alpha + (1.0 - 2.0 * self.alpha) * (noisy / self.num_levels)

    def _stretch(self, noisy: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        p = self._squeeze(noisy)
        return jnp.log(p) - jnp.log1p(-p)

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        unit = (jax.nn.sigmoid(x) - self.alpha) / (1.0 - 2.0 * self.alpha)
        return _floor_unit(unit, self.num_levels)

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        p = self._squeeze(_noisy(data, self.num_levels, key))
        per_pixel = math.log((1.0 - 2.0 * self.alpha) / self.num_levels) - jnp.log(p) - jnp.log1p(-p)
        return jnp.sum(per_pixel)


class Discrete(AbstractImageRepresentation):
    """Levels as integers."""

    num_levels: int = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "tokens"

    def _encode_one(self, data: Num[Array, "*shape"], *, key: Key[Array, ""] | None) -> Int[Array, "*shape"]:
        return data.astype(jnp.int32)

    def _unit_one(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        return x.astype(jnp.float32) / (self.num_levels - 1)

    def _log_det_one(self, data: Num[Array, "..."], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.zeros(())


def _unit(data: Num[Array, "*shape"], num_levels: int) -> Float[Array, "*shape"]:
    _check_integers(data)
    # A compiler may multiply by the reciprocal instead, and then the last level would exceed 1 by a rounding error.
    return jnp.minimum(data.astype(jnp.float32) / (num_levels - 1), 1.0)


def _bernoulli(data: Num[Array, "*shape"], num_levels: int, key: Any) -> Float[Array, "*shape"]:
    # A uniform number in [0, 1) is below 0 never and below 1 always: black and white pixels stay as they are.
    return jnp.asarray(jax.random.uniform(key, data.shape) < _unit(data, num_levels), jnp.float32)


def _noisy(data: Num[Array, "*shape"], num_levels: int, key: Any) -> Float[Array, "*shape"]:
    """`v + u`, with the noise on the midpoints of a grid (of 4096 cells for 256 levels and less).

    So float32 holds the sum exactly, and every level is decoded again. With noise of full precision, `100 + u` is
    rounded up to 101 once in 2^18 pixels.
    """
    _check_integers(data)
    bits = min(12, 20 - (num_levels - 1).bit_length())
    steps = jax.random.randint(key, data.shape, 0, 2**bits)
    return data.astype(jnp.float32) + (steps.astype(jnp.float32) + 0.5) / 2**bits


def _floor_unit(unit: Float[Array, "*shape"], num_levels: int) -> Float[Array, "*shape"]:
    return jnp.floor(unit * num_levels) / (num_levels - 1)


def _check_integers(data: Array) -> None:
    if not jnp.issubdtype(data.dtype, jnp.integer):
        raise TypeError(
            f"stored pictures are integers, from 0 to the greatest level; got {data.dtype}. "
            "Are these encoded already?"
        )


@singledispatch
def make_image_representation(
    config: ImageRepresentationConfig, num_levels: int
) -> AbstractImageRepresentation:
    """The representation that a config describes.

    Args:
        config: which one.
        num_levels: number of values of a stored pixel; 256 for most pictures.
    """
    raise LookupError(
        f"no representation is registered for {type(config).__name__}; use @make_image_representation.register"
    )


@make_image_representation.register
def _(config: UnitIntervalConfig, num_levels: int) -> AbstractImageRepresentation:
    return UnitInterval(num_levels)


@make_image_representation.register
def _(config: SymmetricConfig, num_levels: int) -> AbstractImageRepresentation:
    return Symmetric(num_levels)


@make_image_representation.register
def _(config: BinarizedConfig, num_levels: int) -> AbstractImageRepresentation:
    match config.method:
        case "dynamic":
            return DynamicBinarized(num_levels)
        case "fixed":
            return FixedBinarized(num_levels, config.seed)
        case "threshold":
            return ThresholdBinarized(num_levels)


@make_image_representation.register
def _(config: DequantizedConfig, num_levels: int) -> AbstractImageRepresentation:
    return Dequantized(num_levels)


@make_image_representation.register
def _(config: LogitConfig, num_levels: int) -> AbstractImageRepresentation:
    return Logit(num_levels, config.alpha)


@make_image_representation.register
def _(config: DiscreteConfig, num_levels: int) -> AbstractImageRepresentation:
    return Discrete(num_levels)
