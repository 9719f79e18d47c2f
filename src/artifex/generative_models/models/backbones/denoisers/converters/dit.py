"""`DiTTransformer2DModel` of the `diffusers` package as a `DiT`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from artifex.generative_models.core.configuration import DiTConfig
from artifex.generative_models.models.backbones.denoisers.converters.settings import require
from artifex.generative_models.models.backbones.denoisers.converters.tensors import (
    ConvertedNetwork,
    Tensors,
    fill,
    flat,
)

_EMBEDDER = "norm1.emb"


def dit_from_diffusers(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> ConvertedNetwork:
    """The network of a `config.json` and its weights.

    The condition is the class as a one-hot vector; after the classes comes one more entry for "no class", which the
    condition of a model with `condition_dropout` has too. Where the original predicts a variance beside the noise,
    only the noise is kept. The second norm of a block adds 1e-6 to the variance, the original its `norm_eps`.

    Args:
        settings: what `config.json` holds.
        tensors: arrays by the names of the original.

    Raises:
        ValueError: a setting is not supported, a tensor is missing or has no place, or the blocks embed the time
            step each in its own way, as no published model does.
    """
    require(
        settings, norm_type="ada_norm_zero", activation_fn="gelu-approximate", norm_elementwise_affine=False
    )
    given = Tensors({name: array for name, array in tensors.items() if name != "pos_embed.pos_embed"})
    patch_size, channels = settings["patch_size"], settings["in_channels"]
    num_layers, num_heads = settings["num_layers"], settings["num_attention_heads"]
    size = num_heads * settings["attention_head_dim"]
    embedder = _embedder(given, num_layers)
    blocks = [_block(given, f"transformer_blocks.{index}") for index in range(num_layers)]
    table = embedder.pop("class_embedder.embedding_table.weight")
    into = given.affine("pos_embed.proj")
    arrays = {
        "embedding.first.weight": embedder["timestep_embedder.linear_1.weight"],
        "embedding.first.bias": embedder["timestep_embedder.linear_1.bias"],
        "embedding.second.weight": embedder["timestep_embedder.linear_2.weight"],
        "embedding.second.bias": embedder["timestep_embedder.linear_2.bias"],
        "embedding.condition.weight": table.T,
        "embedding.condition.bias": np.zeros(size, table.dtype),
        "into.weight": into["weight"].reshape(size, -1),
        "into.bias": into["bias"],
        **{f"blocks.layers.{name}": np.stack([block[name] for block in blocks]) for name in blocks[0]},
        **flat("modulation", given.affine("proj_out_1")),
        **flat("out", _first_channels(given.affine("proj_out_2"), patch_size, channels)),
    }
    given.check_all_taken()
    config = DiTConfig(
        patch_size=patch_size,
        hidden_size=size,
        num_layers=num_layers,
        num_heads=num_heads,
        mlp_ratio=blocks[0]["expand.bias"].shape[0] // size,
    )
    side = settings["sample_size"]
    return fill(config, (channels, side, side), condition_size=len(table), arrays=arrays)


def _embedder(given: Tensors, num_layers: int) -> dict[str, np.ndarray]:
    """What embeds time step and class; every block of the original has its own copy."""
    names = [f"timestep_embedder.linear_{i}.{part}" for i in (1, 2) for part in ("weight", "bias")]
    names.append("class_embedder.embedding_table.weight")
    copies = [
        {name: given.take(f"transformer_blocks.{index}.{_EMBEDDER}.{name}") for name in names}
        for index in range(num_layers)
    ]
    for index, copy in enumerate(copies):
        for name in names:
            if not np.array_equal(copy[name], copies[0][name]):
                raise ValueError(
                    f"all blocks must embed time step and class alike; `{name}` of block {index} is not that of "
                    "block 0. Copy block 0's to all, and train on."
                )
    return copies[0]


def _block(given: Tensors, name: str) -> dict[str, np.ndarray]:
    attention = [given.affine(f"{name}.attn1.to_{part}") for part in "qkv"]
    return {
        **flat("modulation", given.affine(f"{name}.norm1.linear")),
        **flat("qkv", {part: np.concatenate([a[part] for a in attention]) for part in ("weight", "bias")}),
        **flat("project", given.affine(f"{name}.attn1.to_out.0")),
        **flat("expand", given.affine(f"{name}.ff.net.0.proj")),
        **flat("contract", given.affine(f"{name}.ff.net.2")),
    }


def _first_channels(affine: dict[str, np.ndarray], patch_size: int, channels: int) -> dict[str, np.ndarray]:
    """The rows of the first channels, where each pixel of a patch has all its channels in turn."""

    def first(array: np.ndarray) -> np.ndarray:
        rest = array.shape[1:]
        return array.reshape(patch_size**2, -1, *rest)[:, :channels].reshape(-1, *rest)

    return {name: first(array) for name, array in affine.items()}
