"""Small denoiser networks of all kinds, with random numbers in every weight."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import (
    DenoiserConfig,
    DiTConfig,
    MLPDenoiserConfig,
    MMDiTConfig,
    UNetConfig,
    UViTConfig,
)
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.models.backbones.denoisers import make_denoiser

SHAPE = (2, 8, 4)
_SIZES: dict[str, Any] = {"hidden_size": 16, "num_heads": 2}
_TOKENS = (3, 2)


@dataclasses.dataclass(frozen=True)
class Row:
    """A network for examples of a shape and conditions of a length."""

    config: DenoiserConfig
    event_shape: tuple[int, ...] = SHAPE
    condition_size: int = 3


NETWORKS = {
    "mlp_waves": Row(MLPDenoiserConfig(hidden_size=12, num_layers=2, num_waves=6)),
    # Levels that widen and narrow; attention inside a scanned run; runs of one block.
    "unet": Row(UNetConfig(channels=(8, 12), num_blocks=3, attention_levels=(1,), num_heads=2)),
    "unet_one_block": Row(
        UNetConfig(channels=(8, 6), num_blocks=1, has_middle_attention=False, has_scale=False, num_groups=2)
    ),
    # A last number after the tokens, as that by which a model says whether the condition is withheld.
    "unet_tokens": Row(
        UNetConfig(
            channels=(8, 8),
            num_blocks=1,
            num_heads=2,
            condition_tokens=_TOKENS,
            has_residual_resampling=True,
        ),
        condition_size=7,
    ),
    "unet_sequence": Row(UNetConfig(channels=(8, 8), num_blocks=1, num_heads=2), event_shape=(2, 8)),
    "dit": Row(DiTConfig(**_SIZES, num_layers=2)),
    "dit_tokens": Row(
        DiTConfig(**_SIZES, num_layers=2, positions="rotary", condition_tokens=_TOKENS), condition_size=7
    ),
    "u_vit": Row(UViTConfig(**_SIZES, num_layers=5, condition_tokens=_TOKENS), condition_size=7),
    "mm_dit": Row(MMDiTConfig(**_SIZES, num_layers=3, condition_tokens=_TOKENS), condition_size=7),
}


def shapes_of(row: Row) -> Any:
    """The network with shapes in place of arrays; nothing is compiled."""
    return eqx.filter_eval_shape(
        make_denoiser, row.config, row.event_shape, condition_size=row.condition_size, key=jax.random.key(0)
    )


def filled(structure: Any, *, seed: int = 0) -> Any:
    """A module with random numbers in every weight, so that no small start hides a path; nothing is compiled."""
    rng = np.random.default_rng(seed)

    def fill(name: str, leaf: Any) -> jax.Array:
        is_scale = "norm" in name and name.endswith("weight")
        return jnp.asarray(is_scale + 0.2 * rng.normal(size=leaf.shape), leaf.dtype)

    arrays, static = eqx.partition(structure, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    values = [fill(name, leaf) for name, leaf in named_leaves(arrays).items()]
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), values), static)


def inputs_of(row: Row) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A batch of two examples, levels and conditions."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *row.event_shape)), jnp.float32)
    condition = rng.normal(size=(2, row.condition_size))
    return x, jnp.asarray([100.0, 700.0]), jnp.asarray(condition, jnp.float32)


@eqx.filter_jit
def outputs_and_gradient(network, x, level, condition):
    """Outputs of a batch, and the gradient of a number that depends on all of them."""

    def total(network):
        y = jax.vmap(network)(x, level, condition)
        return jnp.sum(jnp.sin(3.0 * y)), y

    (_, y), gradient = eqx.filter_value_and_grad(total, has_aux=True)(network)
    return y, gradient


@eqx.filter_jit
def outputs(network, x, level, condition):
    """Outputs of a batch."""
    return jax.vmap(lambda *one: network(*one))(x, level, condition)
