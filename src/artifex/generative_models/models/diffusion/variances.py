"""The variance of ancestral steps: fixed at either end of its range, or an output of the network.

Source: Nichol & Dhariwal 2021, arXiv:2102.09672, equation 15. As in their code the network's number lies in [-1, 1]
for the range from the least to the greatest variance, and beyond for what lies beyond.
"""

from functools import singledispatch

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    FixedLargeVarianceConfig,
    FixedSmallVarianceConfig,
    LearnedRangeVarianceConfig,
    VarianceConfig,
)

Example = Float[Array, "..."]


@singledispatch
def num_outputs(config: VarianceConfig) -> int:
    """How many numbers the network gives for each entry of an example."""
    return 1


@num_outputs.register
def _(config: LearnedRangeVarianceConfig) -> int:
    return 2


@singledispatch
def split_output(config: VarianceConfig, output: Example) -> tuple[Example, Example | None]:
    """The prediction and the variance, as `Estimate` has it, from what a network gives."""
    raise LookupError(f"no variance is registered for {type(config).__name__}; use @split_output.register")


@split_output.register
def _(config: FixedSmallVarianceConfig, output: Example) -> tuple[Example, Example | None]:
    return output, None


@split_output.register
def _(config: FixedLargeVarianceConfig, output: Example) -> tuple[Example, Example | None]:
    return output, jnp.ones_like(output)


@split_output.register
def _(config: LearnedRangeVarianceConfig, output: Example) -> tuple[Example, Example | None]:
    prediction, number = jnp.split(output, 2)
    return prediction, 0.5 * (number + 1.0)
