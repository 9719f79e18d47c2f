"""What a denoiser says."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float


class Estimate(NamedTuple):
    """What a model believes at (x_t, t), with x_t = alpha data + sigma noise.

    Attributes:
        data: E[x_0 | x_t], shape of one example.
        noise: E[noise | x_t], same shape; the score of x_t is -noise / sigma.
    """

    data: Float[Array, "..."]
    noise: Float[Array, "..."]


# (x_t, t) -> Estimate, for one example: a model with its condition and its guidance.
Denoiser = Callable[[Float[Array, "..."], Float[Array, ""]], Estimate]
