"""`AutoencoderKL` of the `diffusers` package as encoder and decoder of ours."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from artifex.generative_models.core.configuration import AutoencoderKLConfig, NormalConfig
from artifex.generative_models.models.backbones.autoencoder import AutoencoderDecoder, AutoencoderEncoder
from artifex.generative_models.models.backbones.denoisers.converters.settings import require
from artifex.generative_models.models.backbones.denoisers.converters.tensors import (
    Tensors,
    filled,
    flat,
    new_name,
)


@dataclasses.dataclass(frozen=True)
class ConvertedAutoencoder:
    """Networks of an autoencoder with the weights of another library, and what builds their like.

    Attributes:
        encoder: image to means and log-variances of the latents.
        decoder: latents to the image.
        config: of the model.
        scale: the number by which the original multiplies latents, after `shift` is taken from them, before a
            diffusion model sees them.
        shift: that shift.
    """

    encoder: AutoencoderEncoder
    decoder: AutoencoderDecoder
    config: AutoencoderKLConfig
    scale: float
    shift: float


def autoencoder_from_diffusers(
    settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> ConvertedAutoencoder:
    """The networks of a `config.json` and its weights.

    The original says nothing about the scale of its likelihood: the config has a normal one with the learned scale
    of the defaults.

    Args:
        settings: what `config.json` holds; what it does not say is as in version 0.42.
        tensors: arrays by the names of the original.

    Raises:
        ValueError: a setting is not supported, or a tensor is missing or has no place.
    """
    require(settings, act_fn="silu", latents_mean=None, latents_std=None)
    given = Tensors({new_name(name): array for name, array in tensors.items()})
    config = _config(settings)
    any_key = jax.eval_shape(jax.random.key, 0)
    encoder = eqx.filter_eval_shape(lambda key: AutoencoderEncoder(config, key=key), any_key)
    decoder = eqx.filter_eval_shape(
        lambda key: AutoencoderDecoder(config, out_channels=config.event_shape[0], key=key), any_key
    )
    last = len(config.channels) - 1
    of_encoder, of_decoder = _ends(given, "encoder"), _ends(given, "decoder")
    if config.has_latent_convolutions:
        of_encoder |= flat("latent", given.affine("quant_conv"))
        of_decoder |= flat("latent", given.affine("post_quant_conv"))
    for index in range(last + 1):
        down, up = f"encoder.down_blocks.{index}", f"decoder.up_blocks.{last - index}"
        of_encoder |= flat(f"levels.{index}", _level(given, down, config.num_blocks))
        of_decoder |= flat(f"levels.{index}", _level(given, up, config.num_blocks + 1))
        if index < last:
            of_encoder |= flat(f"downsample.{index}", given.affine(f"{down}.downsamplers.0.conv"))
        if index > 0:
            of_decoder |= flat(f"upsample.{index - 1}", given.affine(f"{up}.upsamplers.0.conv"))
    given.check_all_taken()
    return ConvertedAutoencoder(
        filled(encoder, of_encoder),
        filled(decoder, of_decoder),
        config,
        scale=settings.get("scaling_factor", 0.18215),
        shift=settings.get("shift_factor") or 0.0,
    )


def _config(settings: Mapping[str, Any]) -> AutoencoderKLConfig:
    channels = tuple(settings.get("block_out_channels", (64,)))
    for name, wanted in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
        require(settings, **{name: [wanted] * len(channels)})
    has_convolutions = settings.get("use_quant_conv", True)
    require(settings, use_post_quant_conv=has_convolutions, out_channels=settings.get("in_channels", 3))
    side = settings.get("sample_size", 32)
    return AutoencoderKLConfig(
        event_shape=(settings.get("in_channels", 3), *((side, side) if isinstance(side, int) else side)),
        channels=channels,
        num_blocks=settings.get("layers_per_block", 1),
        latent_channels=settings.get("latent_channels", 4),
        has_middle_attention=settings.get("mid_block_add_attention", True),
        num_groups=settings.get("norm_num_groups", 32),
        norm_epsilon=1e-6,
        has_latent_convolutions=has_convolutions,
        likelihood=NormalConfig(scale=0.25, scale_source="learned", min_scale=0.01),
    )


def _ends(given: Tensors, name: str) -> dict[str, np.ndarray]:
    """First and last layers of a network, and its middle."""
    middle = f"{name}.mid_block"
    arrays = flat("into", given.affine(f"{name}.conv_in"))
    arrays |= flat("norm", given.affine(f"{name}.conv_norm_out"))
    arrays |= flat("out", given.affine(f"{name}.conv_out"))
    arrays |= flat("middle.before", _block(given, f"{middle}.resnets.0"))
    arrays |= flat("middle.after", _block(given, f"{middle}.resnets.1"))
    attention = f"{middle}.attentions.0"
    if f"{attention}.group_norm.weight" in given:
        qkv = [given.affine(f"{attention}.to_{part}") for part in "qkv"]
        joined = {part: np.concatenate([affine[part] for affine in qkv]) for part in ("weight", "bias")}
        arrays |= flat("middle.attention.norm", given.affine(f"{attention}.group_norm"))
        arrays |= flat("middle.attention.qkv", joined)
        arrays |= flat("middle.attention.out", given.affine(f"{attention}.to_out.0"))
    return arrays


def _level(given: Tensors, name: str, num_blocks: int) -> dict[str, np.ndarray]:
    """The blocks of a level; those after the first are stacked."""
    first, *rest = (_block(given, f"{name}.resnets.{index}") for index in range(num_blocks))
    arrays = flat("first", first)
    if rest:
        arrays |= flat("rest.layers", {part: np.stack([block[part] for block in rest]) for part in rest[0]})
    return arrays


def _block(given: Tensors, name: str) -> dict[str, np.ndarray]:
    parts = {part: part for part in ("norm1", "conv1", "norm2", "conv2")}
    if f"{name}.conv_shortcut.weight" in given:
        parts["skip"] = "conv_shortcut"
    arrays = {}
    for ours, theirs in parts.items():
        arrays |= flat(ours, given.affine(f"{name}.{theirs}"))
    return arrays
