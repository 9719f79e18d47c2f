"""Reflow: a flow trained on the pairs of noise and data that another flow makes.

A flow's trajectories do not cross, so its own pairs (noise, where the noise leads) can be joined by straighter lines
than noise and data paired at random. A flow that is trained on them needs fewer steps, and has the same distribution.

Source: Liu et al. 2023, arXiv:2209.03003, algorithm 1.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import SamplerConfig
from artifex.generative_models.core.models import conditions_for
from artifex.generative_models.core.sampling import AbstractSampler, DDIMSampler
from artifex.generative_models.models.diffusion.model import GaussianDiffusion


def reflow_pairs(
    model: GaussianDiffusion,
    n: int,
    *,
    key: Key[Array, ""],
    condition: Arrays | None = None,
    sampler: SamplerConfig | AbstractSampler | str | None = None,
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    chunk_size: int | None = None,
) -> dict[str, Any]:
    """Noise, and the data to which a model's ODE leads from it, as examples for `fit`.

        pairs = reflow_pairs(model, 50_000, key=key)
        straighter = fit(create_model(model.config, key=new_key), pairs, training, key=fit_key).model

    Args:
        model: the trained flow.
        n: how many pairs.
        key: pair `i` is made with `fold_in(key, i)`.
        condition: one for each pair, or a single one for all; None for an unconditional model.
        sampler: one that follows the ODE, without fresh noise; None: the config's.
        num_steps: in how many steps; None: as in the config.
        guidance_scale: as in `sample`.
        chunk_size: at most so many pairs at once.

    Returns:
        `{"x": {"data": ..., "noise": ...}}`, both of shape `(n, *event_shape)`, and `"condition"`, where there is one.
    """
    given: dict[str, Any] = {"key": key, "condition": condition, "chunk_size": chunk_size}
    made = model.sample(n, **given, sampler=sampler, num_steps=num_steps, guidance_scale=guidance_scale)
    # The key alone decides the noise at which sampling begins, however it goes on: one step shows it.
    first = model.sample(n, **given, sampler=DDIMSampler(), num_steps=1, keep_trajectory=True)
    noise = jnp.asarray(first.trajectory)[:, 0] / model.path.sigma(model.times(1)[0])
    pairs: dict[str, Any] = {"x": {"data": made.x, "noise": noise}}
    if condition is not None:
        pairs["condition"] = conditions_for(model.config, condition, n)
    return pairs
