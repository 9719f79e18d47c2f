"""`UNet2DModel` of the `diffusers` package as a `UNet`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from artifex.generative_models.core.configuration import UNetConfig
from artifex.generative_models.models.backbones.denoisers.converters.settings import require
from artifex.generative_models.models.backbones.denoisers.converters.tensors import (
    ConvertedNetwork,
    Tensors,
    fill,
    flat,
    new_name,
    structure_of,
)
from artifex.generative_models.models.backbones.denoisers.unet_levels import UNetLevel
from artifex.generative_models.models.backbones.stack import Stack

_DOWN = {"DownBlock2D": False, "AttnDownBlock2D": True}
_UP = {"UpBlock2D": False, "AttnUpBlock2D": True}


def unet_from_diffusers(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> ConvertedNetwork:
    """The network of a `config.json` and its weights.

    The condition, if there are classes, is the class as a one-hot vector.

    Args:
        settings: what `config.json` holds; what it does not say is as in version 0.42.
        tensors: arrays by the names of the original.

    Raises:
        ValueError: a setting is not supported, or a tensor is missing or has no place.
    """
    require(
        settings,
        time_embedding_type="positional",
        center_input_sample=False,
        mid_block_type="UNetMidBlock2D",
        mid_block_scale_factor=1,
        downsample_type="conv",
        upsample_type="conv",
        act_fn="silu",
        dropout=0.0,
        class_embed_type=None,
        time_embedding_dim=None,
    )
    given = Tensors({new_name(name): array for name, array in tensors.items()})
    config = _config(settings)
    channels, side = settings.get("in_channels", 3), settings["sample_size"]
    if settings.get("out_channels", 3) != channels:
        raise ValueError(
            f"`out_channels` must be `in_channels`, {channels}; got {settings.get('out_channels', 3)}"
        )
    event_shape = (channels, *((side, side) if isinstance(side, int) else side))
    arrays, condition_size = _embedding(given, flip=not settings.get("flip_sin_to_cos", True))
    arrays |= flat("into", given.affine("conv_in")) | flat("out", given.affine("conv_out"))
    arrays |= flat("norm", given.affine("conv_norm_out"))
    structure = structure_of(config, event_shape, condition_size=condition_size)
    last = len(config.channels) - 1
    for index in range(last + 1):
        down, up = f"down_blocks.{index}", f"up_blocks.{last - index}"
        arrays |= flat(f"down.{index}", _level(given, structure.down[index], down))
        arrays |= flat(f"up.{index}", _level(given, structure.up[index], up))
        if index < last:
            arrays |= flat(f"downsample.{index}", given.affine(f"{down}.downsamplers.0.conv"))
        if index > 0:
            arrays |= flat(f"upsample.{index - 1}", given.affine(f"{up}.upsamplers.0.conv"))
    for index in range(2):
        arrays |= flat(f"middle.{index}", _block(given, "mid_block", index))
    given.check_all_taken()
    return fill(config, event_shape, condition_size=condition_size, arrays=arrays)


def _config(settings: Mapping[str, Any]) -> UNetConfig:
    channels = tuple(settings["block_out_channels"])
    down = _has_attention(settings["down_block_types"], _DOWN)
    up = _has_attention(settings["up_block_types"], _UP)
    if down != up[::-1]:
        raise ValueError(f"attention must be at the same levels on the way down and up; got {down} and {up}")
    modulation = settings.get("resnet_time_scale_shift", "default")
    padding, shift = settings.get("downsample_padding", 1), settings.get("freq_shift", 0)
    for name, value, known in (
        ("resnet_time_scale_shift", modulation, ("default", "scale_shift")),
        ("downsample_padding", padding, (0, 1)),
        ("freq_shift", shift, (0, 1)),
    ):
        if value not in known:
            raise ValueError(f"only `{name}` in {known} can be converted; got {value!r}")
    num_groups = settings.get("norm_num_groups", 32)
    has_middle_attention = settings.get("add_attention", True)
    # The original's default for its middle is its other blocks' norm with "default", and none with "scale_shift".
    middle_groups = settings.get("attn_norm_num_groups") or (num_groups if modulation == "default" else None)
    if has_middle_attention and middle_groups != num_groups:
        raise ValueError(
            f"the middle's attention must have a norm of as many groups as the others, {num_groups}; got "
            f"`attn_norm_num_groups` {settings.get('attn_norm_num_groups')}"
        )
    return UNetConfig(
        channels=channels,
        num_blocks=settings.get("layers_per_block", 2),
        attention_levels=tuple(index for index, has_attention in enumerate(down) if has_attention),
        has_middle_attention=has_middle_attention,
        num_heads=1,
        head_size=settings.get("attention_head_dim", 8),  # none: one head, of all channels
        num_groups=num_groups,
        norm_epsilon=settings.get("norm_eps", 1e-5),
        has_scale=modulation == "scale_shift",
        has_longest_period=shift == 1,
        pads_both_sides=padding == 1,
    )


def _has_attention(kinds: Sequence[str], known: Mapping[str, bool]) -> list[bool]:
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"only blocks of the types {', '.join(known)} can be converted; got {kind!r}")
    return [known[kind] for kind in kinds]


def _embedding(given: Tensors, *, flip: bool) -> tuple[dict[str, np.ndarray], int]:
    """Weights of the embedding, and the length of its condition; `flip`: sines come first in the original."""
    first = given.affine("time_embedding.linear_1")
    if flip:
        first["weight"] = np.concatenate(np.split(first["weight"], 2, axis=1)[::-1], axis=1)
    arrays = flat("embedding.first", first)
    arrays |= flat("embedding.second", given.affine("time_embedding.linear_2"))
    if "class_embedding.weight" not in given:
        return arrays, 0
    table = given.take("class_embedding.weight")
    condition = {"weight": table.T, "bias": np.zeros(table.shape[1], table.dtype)}
    return arrays | flat("embedding.condition", condition), len(table)


def _level(given: Tensors, level: UNetLevel, name: str) -> dict[str, np.ndarray]:
    """All blocks of a level; those of a run are stacked."""
    arrays, index = {}, 0
    for position, run in enumerate(level.runs):
        if isinstance(run, Stack):
            blocks = [_block(given, name, index + i) for i in range(run.num_layers)]
            stacked = {part: np.stack([block[part] for block in blocks]) for part in blocks[0]}
            arrays |= flat(f"runs.{position}.layers", stacked)
            index += run.num_layers
        else:
            arrays |= flat(f"runs.{position}", _block(given, name, index))
            index += 1
    return arrays


def _block(given: Tensors, name: str, index: int) -> dict[str, np.ndarray]:
    """A residual block, and the attention after it where there is any."""
    residual, attention = f"{name}.resnets.{index}", f"{name}.attentions.{index}"
    parts = {
        "norm1": "norm1",
        "conv1": "conv1",
        "modulation": "time_emb_proj",
        "norm2": "norm2",
        "conv2": "conv2",
    }
    if f"{residual}.conv_shortcut.weight" in given:
        parts["skip"] = "conv_shortcut"
    arrays = {}
    for ours, theirs in parts.items():
        arrays |= flat(f"residual.{ours}", given.affine(f"{residual}.{theirs}"))
    if f"{attention}.group_norm.weight" in given:
        qkv = [given.affine(f"{attention}.to_{part}") for part in "qkv"]
        joined = {part: np.concatenate([affine[part] for affine in qkv]) for part in ("weight", "bias")}
        arrays |= flat("attention.norm", given.affine(f"{attention}.group_norm"))
        arrays |= flat("attention.qkv", joined)
        arrays |= flat("attention.out", given.affine(f"{attention}.to_out.0"))
    return arrays
