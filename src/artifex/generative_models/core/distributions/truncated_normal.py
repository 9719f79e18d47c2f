"""The normal distribution between two bounds, of which either may be infinite, also far out in a tail.

With z = (x - loc) / scale, a and b the bounds in units of z, and c the number of [a, b] nearest to 0, the density is

    exp(-(z^2 - c^2) / 2) / (scale R),    R = integral of exp(-(s^2 - c^2) / 2) ds from a to b,

in which R neither underflows nor cancels against the exponent. Where a and b have different signs, R is a sum of two
error functions; where both are in a tail, a difference of Mills ratios; and for narrow intervals a series.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, erfcx, ndtr, ndtri
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
# Bounds in units of the scale are kept finite, so that none of the arithmetic sees infinity minus infinity.
_FARTHEST = 1e9
# Beyond an exponent of this size below its start, an integrand is left out.
_DECAY = 40.0
# Intervals in which the exponent changes by less have the series.
_NARROW = 0.1
_NEWTON_STEPS = 6


class TruncatedNormal(AbstractEntries):
    """Independent entries that are normal, given that they lie in [low, high].

    Args:
        loc: means before the truncation.
        scale: standard deviations before it, positive, same shape.
        low: lower bounds, maybe minus infinity, same shape.
        high: upper bounds, above them, maybe infinity, same shape.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]
    low: Float[Array, "..."]
    high: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats; `-inf` outside of the bounds."""
        inside = (value >= self.low) & (value <= self.high)
        anchor = jnp.clip(self.loc, self.low, self.high)
        x = jnp.where(inside, value, anchor)
        exponent = (x - anchor) / self.scale * (((x - self.loc) + (anchor - self.loc)) / self.scale)
        log_prob = -0.5 * exponent - jnp.log(self._mass()) - jnp.log(self.scale)
        return jnp.where(inside, log_prob, -jnp.inf)

    def _bounds(self) -> tuple[Array, Array]:
        """A and b."""
        return self._standardized(self.low, self.loc), self._standardized(self.high, self.loc)

    def _standardized(self, bound: Array, reference: Array) -> Array:
        """Distance from the reference in units of the scale, finite also for an infinite bound, and so its gradient."""
        is_finite = jnp.isfinite(bound)
        distance = (jnp.where(is_finite, bound, reference) - reference) / self.scale
        return jnp.where(is_finite, jnp.clip(distance, -_FARTHEST, _FARTHEST), jnp.sign(bound) * _FARTHEST)

    def _mass(self) -> Array:
        """R of the module's docstring."""
        a, b = self._bounds()
        is_finite = jnp.isfinite(self.low) & jnp.isfinite(self.high)
        width = (jnp.where(is_finite, self.high, 1.0) - jnp.where(is_finite, self.low, 0.0)) / self.scale
        width = jnp.where(is_finite, width, _FARTHEST)
        near, far = jnp.where(a + b < 0, -b, a), jnp.where(a + b < 0, -a, b)  # |near| <= |far|, far > 0
        is_tail = near > 0
        is_narrow = width * (1 + jnp.abs(far)) < _NARROW
        # Each branch is given harmless numbers where another is taken.
        tail_near = jnp.where(is_tail, near, 1.0)
        tail_width = jnp.where(is_tail & ~is_narrow, width, 1.0)
        falls = jnp.exp(-tail_width * (tail_near + 0.5 * tail_width))
        tail = _mills(tail_near) - _mills(tail_near + tail_width) * falls
        half = math.sqrt(0.5)
        across = math.sqrt(math.pi / 2) * (erf(far * half) - erf(jnp.where(is_tail, -1.0, near) * half))
        wide = jnp.where(is_tail, tail, across)
        narrow_width = jnp.where(is_narrow, width, 0.1)
        middle = jnp.where(is_narrow, near + 0.5 * narrow_width, 0.0)
        least = jnp.where(is_narrow, jnp.maximum(near, 0.0), 0.0)
        shift = jnp.exp(-0.5 * (middle - least) * (middle + least))
        narrow = shift * narrow_width * (1 + (jnp.square(middle) - 1) * jnp.square(narrow_width) / 24)
        return jnp.where(is_narrow, narrow, wide)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        """By the quantile function, so samples have gradients with respect to all parameters."""
        dtype = self.loc.dtype
        u = jax.random.uniform(key, (n, *self.loc.shape), dtype, minval=jnp.finfo(dtype).tiny)
        return jax.vmap(self._quantile)(u)

    def _quantile(self, u: Array) -> Array:
        a, b = self._bounds()
        flip = a + b < 0
        near, far = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
        is_tail = near > 0
        # Across the centre: by the probability of the side that is nearer in.
        centre_near = jnp.where(is_tail, -1.0, near)
        below, above = ndtr(centre_near), ndtr(-far)
        lower = below + u * ((1 - above) - below)
        upper = above + (1 - u) * ((1 - below) - above)
        tiny = jnp.finfo(u.dtype).tiny
        is_lower = lower < 0.5
        across = jnp.where(
            is_lower,
            ndtri(jnp.clip(jnp.where(is_lower, lower, 0.25), tiny, 0.5)),
            -ndtri(jnp.clip(jnp.where(is_lower, 0.25, upper), tiny, 0.5)),
        )
        tail_near, tail_far = jnp.where(is_tail, near, 1.0), jnp.where(is_tail, far, 2.0)
        z = jnp.where(is_tail, _tail_excess(u, tail_near, tail_far), across)
        start = jnp.where(is_tail, self.mode(), self.loc)
        return jnp.clip(start + self.scale * jnp.where(flip, -z, z), self.low, self.high)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the interval."""
        outside = jnp.maximum(jnp.maximum(self.low - value, value - self.high), 0.0)
        return jnp.where(jnp.isfinite(value), outside, jnp.inf)

    def mode(self) -> Float[Array, "..."]:
        """The number between the bounds that is nearest to `loc`."""
        return jnp.clip(self.loc, self.low, self.high)

    def mean(self) -> Float[Array, "..."]:
        """By quadrature, exact to rounding."""
        return self.mode() + self.scale * self._moments()[0]

    def variance(self) -> Float[Array, "..."]:
        """By quadrature, exact to rounding."""
        return jnp.square(self.scale) * self._moments()[1]

    def entropy(self) -> Float[Array, "..."]:
        """By quadrature, exact to rounding, in nats."""
        return jnp.log(self._mass()) + jnp.log(self.scale) + 0.5 * self._moments()[2]

    def _moments(self) -> tuple[Array, Array, Array]:
        """Mean of z - c, variance of z, mean of z^2 - c^2: by Gauss-Legendre where the density is not negligible."""
        a, b = self._bounds()
        c = jnp.clip(0.0, a, b)
        reach = 2 * _DECAY / (jnp.abs(c) + jnp.sqrt(jnp.square(c) + 2 * _DECAY))
        anchor = self.mode()
        start = jnp.maximum(self._standardized(self.low, anchor), -reach)
        width = jnp.minimum(self._standardized(self.high, anchor), reach) - start
        shape = (*(1 for _ in c.shape), _NODES.size)
        nodes, weights = (jnp.asarray(values, c.dtype).reshape(shape) for values in (_NODES, _WEIGHTS))
        y = start[..., None] + width[..., None] * (nodes + 1) / 2
        excess = y * (y + 2 * c[..., None])
        shares = weights * jnp.exp(-0.5 * excess)
        shares = shares / jnp.sum(shares, axis=-1, keepdims=True)
        mean = jnp.sum(shares * y, axis=-1)
        variance = jnp.sum(shares * jnp.square(y - mean[..., None]), axis=-1)
        return mean, variance, jnp.sum(shares * excess, axis=-1)


def _mills(z: Array) -> Array:
    """`(1 - Phi(z)) / phi(z)`; far out by its asymptotic series, whose derivative does not cancel as that of erfcx."""
    is_far = z > 10
    near = math.sqrt(math.pi / 2) * erfcx(jnp.where(is_far, 1.0, z) * math.sqrt(0.5))
    inverse = 1 / jnp.where(is_far, z, 10.0)
    q = jnp.square(inverse)
    far = inverse * (1 - q * (1 - q * (3 - q * (15 - q * (105 - q * 945)))))
    return jnp.where(is_far, far, near)


def _tail_excess(u: Array, near: Array, far: Array) -> Array:
    """`z - near` at the quantile u of the tail from `near > 0` to `far`.

    The logarithm of the tail beyond z falls from `near` on by D(t) = t near + t^2 / 2 + log m(near) - log m(near + t),
    with m the Mills ratio, which is convex; Newton's steps from the right of the solution converge to it from there.
    The gradient is that of one more step from the solution.
    """
    width = far - near
    rest = _mills(far) / _mills(near) * jnp.exp(-width * (near + 0.5 * width))
    target = -jnp.log1p(-u * (1 - rest))

    def step(t: Array, near: Array, target: Array) -> Array:
        there = _mills(near + t)
        fall = t * (near + 0.5 * t) + jnp.log(_mills(near)) - jnp.log(there)
        return t - (fall - target) * there

    fixed_near, fixed_target = jax.lax.stop_gradient((near, target))
    t = 2 * fixed_target / (fixed_near + jnp.sqrt(jnp.square(fixed_near) + 2 * fixed_target))
    for _ in range(_NEWTON_STEPS):
        t = jnp.maximum(step(t, fixed_near, fixed_target), 0.0)
    return jnp.maximum(step(t, near, target), 0.0)
