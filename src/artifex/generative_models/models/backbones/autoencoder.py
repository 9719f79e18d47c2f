"""Encoder and decoder between an image and a smaller grid of latents: a UNet without its skip connections.

Source: Rombach et al. 2022, arXiv:2112.10752, appendix G, and Esser et al. 2021, arXiv:2012.09841, table 7. Deviation:
initial weights are LeCun-normal, and the second convolution of a residual block starts smaller the more blocks there
are.
"""

import itertools

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key, Num

from artifex.generative_models.core.configuration import AutoencoderKLConfig
from artifex.generative_models.models.backbones.autoencoder_blocks import (
    AutoencoderLevel,
    AutoencoderMiddle,
    autoencoder_norm,
)
from artifex.generative_models.models.backbones.convolution import (
    Conv2d,
    GroupNorm,
    channels_first,
    channels_last,
)
from artifex.generative_models.models.backbones.denoisers.unet_blocks import doubled
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import conv2d


class AutoencoderEncoder(eqx.Module):
    """Image to means and log-variances of the latents: blocks and strided convolutions down, then the middle."""

    into: Conv2d
    levels: tuple[AutoencoderLevel, ...]
    downsample: tuple[Conv2d, ...]
    middle: AutoencoderMiddle
    norm: GroupNorm
    out: Conv2d
    latent: Conv2d | None
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, config: AutoencoderKLConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: its sizes.
            key: randomness of the weights.
        """
        into_key, levels_key, down_key, middle_key, out_key, latent_key = jax.random.split(key, 6)
        widths, size = config.channels, 2 * config.latent_channels
        self.into = conv2d(config.event_shape[0], widths[0], key=into_key)
        self.levels = tuple(
            AutoencoderLevel(config, before, after, config.num_blocks, key=jax.random.fold_in(levels_key, i))
            for i, (before, after) in enumerate(itertools.pairwise((widths[0], *widths)))
        )
        self.downsample = tuple(
            _halving(width, key=jax.random.fold_in(down_key, i)) for i, width in enumerate(widths[:-1])
        )
        self.middle = AutoencoderMiddle(config, key=middle_key)
        self.norm = autoencoder_norm(config, widths[-1])
        self.out = conv2d(widths[-1], size, key=out_key)
        has_latent = config.has_latent_convolutions
        self.latent = conv2d(size, size, kernel_size=1, key=latent_key) if has_latent else None
        self.event_shape = config.event_shape

    def __call__(self, x: Num[Array, "channels height width"]) -> Float[Array, "two_latents h w"]:
        """Means, then log-variances, along the first axis."""
        if x.shape != self.event_shape:
            raise ValueError(f"the encoder takes images of shape {self.event_shape}; got {x.shape}")
        h = self.into(channels_last(x.astype(self.into.weight.dtype)))
        for index, level in enumerate(self.levels):
            h = level(h if index == 0 else self.downsample[index - 1](h))
        h = self.out(jax.nn.silu(self.norm(self.middle(h))))
        h = h if self.latent is None else self.latent(h)
        return channels_first(h).astype(output_dtype(x))


class AutoencoderDecoder(eqx.Module):
    """Latents to the parameters of an image's likelihood: the middle, then blocks and convolutions up.

    Levels are counted as in the encoder, from the image's size on.
    """

    latent: Conv2d | None
    into: Conv2d
    middle: AutoencoderMiddle
    levels: tuple[AutoencoderLevel, ...]
    upsample: tuple[Conv2d, ...]
    norm: GroupNorm
    out: Conv2d
    latent_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, config: AutoencoderKLConfig, *, out_channels: int, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: its sizes.
            out_channels: channels of the output, at the image's size.
            key: randomness of the weights.
        """
        latent_key, into_key, middle_key, levels_key, up_key, out_key = jax.random.split(key, 6)
        widths, size = config.channels, config.latent_channels
        has_latent = config.has_latent_convolutions
        self.latent = conv2d(size, size, kernel_size=1, key=latent_key) if has_latent else None
        self.into = conv2d(size, widths[-1], key=into_key)
        self.middle = AutoencoderMiddle(config, key=middle_key)
        self.levels = tuple(
            AutoencoderLevel(
                config, before, after, config.num_blocks + 1, key=jax.random.fold_in(levels_key, i)
            )
            for i, (after, before) in enumerate(itertools.pairwise((*widths, widths[-1])))
        )
        self.upsample = tuple(
            conv2d(width, width, key=jax.random.fold_in(up_key, i)) for i, width in enumerate(widths[1:])
        )
        self.norm = autoencoder_norm(config, widths[0])
        self.out = conv2d(widths[0], out_channels, key=out_key)
        self.latent_shape = config.latent_shape

    def __call__(self, z: Float[Array, "channels h w"]) -> Float[Array, "out_channels height width"]:
        """Decode one grid."""
        if z.shape != self.latent_shape:
            raise ValueError(f"the decoder takes latents of shape {self.latent_shape}; got {z.shape}")
        h = channels_last(z.astype(self.into.weight.dtype))
        h = self.middle(self.into(h if self.latent is None else self.latent(h)))
        for index, level in reversed([*enumerate(self.levels)]):
            h = level(h)
            h = h if index == 0 else self.upsample[index - 1](doubled(h, 2))
        return channels_first(self.out(jax.nn.silu(self.norm(h)))).astype(z.dtype)


def _halving(width: int, *, key: Key[Array, ""]) -> Conv2d:
    """A strided convolution that sees zeros below and at the right alone."""
    convolution = conv2d(width, width, key=key)
    return Conv2d(convolution.weight, convolution.bias, stride=2, padding=(0, 1))
