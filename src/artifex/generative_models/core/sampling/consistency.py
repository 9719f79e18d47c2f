"""Multistep consistency sampling: at every stop a jump to the data, then fresh noise up to the next stop.

    x_s = alpha_s f(x_t, t) + sigma_s z,    z standard normal

with f the consistency function, which leads from any point of a trajectory of the probability-flow ODE to its end. One
step is the jump alone.

Source: Song et al. 2023, arXiv:2303.01469, algorithm 1 (there alpha = 1, and noise of sqrt(s^2 - epsilon^2), as the
jump ends at epsilon; here it ends at 0).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import (
    AbstractSampler,
    AbstractStepSampler,
    Example,
    Scalar,
)
from artifex.generative_models.core.sampling.estimates import Denoiser


class ConsistencySampler(AbstractStepSampler):
    """The step above; what the model says of the data is taken for the end of the trajectory."""

    def first_memory(self, x: Example) -> tuple[()]:
        """None."""
        return ()

    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: tuple[()],
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, tuple[()], Int[Array, ""]]:
        """One step."""
        z = jax.random.normal(key, x.shape, x.dtype)
        stopped = path.alpha(s) * denoise(x, t).data + path.sigma(s) * z
        return stopped, (), jnp.ones((), jnp.int32)


def check_serves(sampler: AbstractSampler, *, is_consistency: bool) -> None:
    """Raise unless a sampler suits a model.

    Args:
        sampler: what was asked for.
        is_consistency: whether the model knows where trajectories end, or what the data are on average.

    Raises:
        ValueError: a consistency sampler on a model that denoises, or another on a consistency model.
    """
    if isinstance(sampler, ConsistencySampler) == is_consistency:
        return
    name = type(sampler).__name__
    if is_consistency:
        raise ValueError(
            f"a consistency model needs the `consistency` sampler, as it does not say the direction of the ODE; got "
            f"{name}. Leave `sampler` out, or train a `flow_matching` or `edm` model"
        )
    raise ValueError(
        f"{name} needs a consistency model, which jumps to the end of a trajectory; got one that denoises. Use "
        "another sampler, such as `ddim`, or train a `consistency` model"
    )
