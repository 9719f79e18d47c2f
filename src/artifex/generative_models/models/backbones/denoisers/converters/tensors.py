"""Named tensors of a file, each taken once, and modules filled with them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import DenoiserConfig
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.utils.messages import nearest_name


@dataclasses.dataclass(frozen=True)
class ConvertedNetwork:
    """A network with the weights of another library, and what builds its like.

    Attributes:
        network: the module.
        config: of the network, for a model's config.
        event_shape: shape of its examples.
        condition_size: length of its condition vector; 0: unconditional.
    """

    network: AbstractDenoiserNetwork
    config: DenoiserConfig
    event_shape: tuple[int, ...]
    condition_size: int


class Tensors:
    """Arrays by name; what is missing, or never asked for, is an error."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        """Nothing is asked for yet."""
        self._tensors = tensors
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def take(self, name: str) -> np.ndarray:
        """The array of a name.

        Raises:
            ValueError: there is none.
        """
        if name not in self._tensors:
            nearest = nearest_name(name, self._tensors)
            hint = f" The nearest is `{nearest}`." if nearest else ""
            raise ValueError(f"the weights must hold `{name}`, which they lack.{hint}")
        self._taken.add(name)
        return self._tensors[name]

    def affine(self, name: str) -> dict[str, np.ndarray]:
        """Weight and bias below a name; a bias that is not there is zero."""
        weight = self.take(f"{name}.weight")
        has_bias = f"{name}.bias" in self
        bias = self.take(f"{name}.bias") if has_bias else np.zeros(len(weight), weight.dtype)
        return {"weight": weight, "bias": bias}

    def check_all_taken(self) -> None:
        """Raise where an array has no place in the network.

        Raises:
            ValueError: naming up to five of them.
        """
        left = sorted(set(self._tensors) - self._taken)
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            raise ValueError(
                f"the weights hold what the network has no place for: {', '.join(left[:5])}{more}"
            )


# As attention's parts were called before version 0.15 of diffusers, in the files of many published models.
_OLD_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


def new_name(name: str) -> str:
    """The name of a tensor of diffusers since version 0.15."""
    if ".attentions." in name:
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
    return name


def flat(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays with a prefix before their names."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def structure_of(config: DenoiserConfig, event_shape: tuple[int, ...], *, condition_size: int) -> Any:
    """The network of a config with shapes in place of arrays."""
    any_key = jax.eval_shape(jax.random.key, 0)
    return eqx.filter_eval_shape(
        lambda key: make_denoiser(config, event_shape, condition_size=condition_size, key=key), any_key
    )


def fill(
    config: DenoiserConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    arrays: Mapping[str, np.ndarray],
) -> ConvertedNetwork:
    """The network of a config with given weights, in float32; nothing random is computed.

    Args:
        config: kind and sizes.
        event_shape: shape of one example.
        condition_size: length of the condition vector.
        arrays: weights by the paths of the network's leaves.

    Raises:
        ValueError: a weight is missing, has another shape, or belongs to no leaf.
    """
    structure = structure_of(config, event_shape, condition_size=condition_size)
    return ConvertedNetwork(filled(structure, arrays), config, tuple(event_shape), condition_size)


def filled(structure: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """A module with given weights, in float32, in place of shapes.

    Args:
        structure: the module, with shapes for arrays.
        arrays: weights by the paths of its leaves.

    Raises:
        ValueError: a weight is missing, has another shape, or belongs to no leaf.
    """
    left = dict(arrays)
    leaves = [_weight(name, leaf, left) for name, leaf in named_leaves(structure).items()]
    if left:
        raise ValueError(f"{type(structure).__name__} has no place for {', '.join(sorted(left))}")
    return jax.tree.unflatten(jax.tree.structure(structure), leaves)


def _weight(name: str, leaf: Any, left: dict[str, np.ndarray]) -> Any:
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    if name not in left:
        raise ValueError(f"`{name}` must be given; got {', '.join(sorted(left))}")
    array = left.pop(name)
    if array.shape != leaf.shape:
        raise ValueError(f"`{name}` must have shape {leaf.shape}; got {array.shape}")
    return jnp.asarray(array, jnp.float32)
