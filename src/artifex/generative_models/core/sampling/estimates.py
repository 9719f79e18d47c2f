"""What a denoiser says."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float


class Estimate(NamedTuple):
    """What a model believes at (x_t, t), with x_t = alpha data + sigma noise.

    Attributes:
        data: E[x_0 | x_t], shape of one example.
        noise: E[noise | x_t], same shape; the score of x_t is -noise / sigma.
        variance: where, for each entry, the variance of an ancestral step lies on a log scale between the least, 0, and
            the greatest, 1, that data of any variance up to 1 can ask for; None: at the least.
    """

    data: Float[Array, "..."]
    noise: Float[Array, "..."]
    variance: Float[Array, "..."] | None = None


# (x_t, t) -> Estimate, for one example: a model with its condition and its guidance.
Denoiser = Callable[[Float[Array, "..."], Float[Array, ""]], Estimate]
