"""UNet for images and sequences: down to a coarse grid and up again, with every block of the way down joined to one of
the way up. A sequence is an image of one row, whose convolutions have one row too.

Sources: Ho et al. 2020, arXiv:2006.11239, appendix B, for the plan; Dhariwal & Nichol 2021 (ADM), arXiv:2105.05233, for
modulation by scale and shift, and for residual blocks that change the size. Deviation: no dropout, as a network has no
key.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import ConfigError, UNetConfig
from artifex.generative_models.models.backbones.conditions import (
    check_condition_vector,
    rest_size,
    split_condition,
)
from artifex.generative_models.models.backbones.convolution import (
    Conv2d,
    GroupNorm,
    channels_first,
    channels_last,
)
from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.denoisers.unet_blocks import (
    ModulatedResidualBlock,
    UNetBlock,
    doubled,
    embedding_size,
    kernel_size,
    unet_norm,
)
from artifex.generative_models.models.backbones.denoisers.unet_levels import UNetLevel
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import conv2d
from artifex.generative_models.models.backbones.noise_levels import NoiseLevelEmbedding
from artifex.generative_models.models.backbones.remat import rematerialized

Resampler = Conv2d | ModulatedResidualBlock


class UNet(AbstractDenoiserNetwork):
    """Per level blocks and a strided convolution down, two blocks in the middle, blocks and a convolution up.

    In place of these convolutions may stand residual blocks, as in ADM. The middle is a block, with attention or
    without, and another. All blocks see the noise level and the condition.
    """

    embedding: NoiseLevelEmbedding
    into: Conv2d
    down: tuple[UNetLevel, ...]
    downsample: tuple[Resampler, ...]
    middle: tuple[UNetBlock, UNetBlock]
    up: tuple[UNetLevel, ...]
    upsample: tuple[Resampler, ...]
    norm: GroupNorm
    out: Conv2d
    config: UNetConfig = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: UNetConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int,
        out_channels: int | None = None,
        key: Key[Array, ""],
    ):
        """Random weights; the output starts at zero but for a little.

        Args:
            config: its sizes.
            event_shape: (channels, height, width) or (channels, length), the sides divisible by 2^(levels - 1).
            condition_size: length of the condition vector; 0: unconditional.
            out_channels: channels of the output; None: those of the image.
            key: randomness of the weights.

        Raises:
            ConfigError: the shape is not that of an image or a sequence, its levels do not divide it, or the
                condition is shorter than its tokens.
        """
        _check_shape(config, event_shape)
        num_axes = len(event_shape) - 1
        kernel = kernel_size(num_axes)
        keys = dict(
            zip(("embedding", "into", "down", "middle", "up", "out"), jax.random.split(key, 6), strict=True)
        )
        widths, num_blocks = config.channels, config.num_blocks
        entries = (widths[0], *widths[:-1])  # channels with which a level begins on the way down
        lasts = (*widths[1:], widths[-1])  # and on the way up

        def level(index: int, in_channels: list[tuple[int, int]], key: Key[Array, ""]) -> UNetLevel:
            has_attention = index in config.attention_levels
            key = jax.random.fold_in(key, index)
            return UNetLevel(
                config, in_channels, widths[index], num_axes=num_axes, has_attention=has_attention, key=key
            )

        def resample(index: int, is_down: bool, key: Key[Array, ""]) -> Resampler:
            key, width = jax.random.fold_in(key, len(widths) + index), widths[index]
            if config.has_residual_resampling:
                return ModulatedResidualBlock(
                    config,
                    width,
                    width,
                    num_axes=num_axes,
                    resampling="halved" if is_down else "doubled",
                    key=key,
                )
            stride = 2 if is_down else 1
            convolution = conv2d(width, width, kernel_size=kernel, stride=stride, key=key)
            if not is_down or config.pads_both_sides:
                return convolution
            return Conv2d(convolution.weight, convolution.bias, stride, padding=(0, 1))

        def middle_block(index: int, has_attention: bool) -> UNetBlock:
            key = jax.random.fold_in(keys["middle"], index)
            return UNetBlock(
                config, widths[-1], widths[-1], num_axes=num_axes, has_attention=has_attention, key=key
            )

        self.embedding = NoiseLevelEmbedding(
            embedding_size(config),
            condition_size=rest_size(condition_size, config.condition_tokens),
            num_features=widths[0],
            has_longest=config.has_longest_period,
            key=keys["embedding"],
        )
        self.into = conv2d(event_shape[0], widths[0], kernel_size=kernel, key=keys["into"])
        self.down = tuple(
            level(i, [(entries[i], 0)] + [(width, 0)] * (num_blocks - 1), keys["down"])
            for i, width in enumerate(widths)
        )
        self.downsample = tuple(resample(i, True, keys["down"]) for i in range(len(widths) - 1))
        self.middle = (middle_block(0, config.has_middle_attention), middle_block(1, False))
        self.up = tuple(
            level(
                i,
                [(lasts[i], width)] + [(width, width)] * (num_blocks - 1) + [(width, entries[i])],
                keys["up"],
            )
            for i, width in enumerate(widths)
        )
        self.upsample = tuple(resample(i, False, keys["up"]) for i in range(1, len(widths)))
        self.norm = unet_norm(config, widths[0])
        self.out = conv2d(
            widths[0], out_channels or event_shape[0], kernel_size=kernel, scale=0.1, key=keys["out"]
        )
        self.config = config
        self.event_shape = tuple(event_shape)
        self.condition_size = condition_size

    def __call__(
        self,
        x: Float[Array, "..."],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "..."]:
        """Predict."""
        if x.shape != self.event_shape:
            raise ValueError(f"the network takes examples of shape {self.event_shape}; got {x.shape}")
        check_condition_vector(condition, self.condition_size)
        dtype, compute, num_axes = output_dtype(x), self.into.weight.dtype, x.ndim - 1
        tokens, rest = split_condition(condition, self.config.condition_tokens)
        tokens = None if tokens is None else tokens.astype(compute)
        embedding = self.embedding(level, rest)
        remat = self.config.remat

        def resampled(
            layer: Resampler, h: Float[Array, "h w channels"]
        ) -> Float[Array, "new_h new_w channels"]:
            if isinstance(layer, ModulatedResidualBlock):
                return rematerialized(layer, remat)(h, embedding)
            return layer(h if layer.stride == 2 else doubled(h, num_axes))

        image = x.astype(compute).reshape(x.shape[0], -1, x.shape[-1])
        h = self.into(channels_last(image))
        skips = []
        for index, blocks in enumerate(self.down):
            h = h if index == 0 else resampled(self.downsample[index - 1], h)
            outputs = blocks.down(h, embedding, tokens)
            skips.append([h, *outputs])
            h = outputs[-1]
        for block in self.middle:
            h = rematerialized(block, remat)(h, embedding, tokens)
        for index, blocks in reversed([*enumerate(self.up)]):
            h = blocks.up(h, skips[index], embedding, tokens)
            h = h if index == 0 else resampled(self.upsample[index - 1], h)
        h = channels_first(self.out(jax.nn.silu(self.norm(h))))
        return h.reshape(-1, *x.shape[1:]).astype(dtype)


@make_denoiser.register
def _(
    config: UNetConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    out_channels: int | None = None,
    key: Key[Array, ""],
) -> AbstractDenoiserNetwork:
    return UNet(config, event_shape, condition_size=condition_size, out_channels=out_channels, key=key)


def _check_shape(config: UNetConfig, event_shape: tuple[int, ...]) -> None:
    if len(event_shape) not in (2, 3):
        raise ConfigError(
            "the `unet` network needs images (channels, height, width) or sequences (channels, length); got "
            f"`event_shape` {tuple(event_shape)}. Use the `mlp` network for other shapes."
        )
    factor = 2 ** (len(config.channels) - 1)
    if any(side % factor for side in event_shape[1:]):
        raise ConfigError(
            f"`event_shape` sides must be divisible by {factor} = 2^(levels - 1), as the `unet` network has "
            f"{len(config.channels)} levels; got {'x'.join(map(str, event_shape[1:]))}. Give fewer `channels`, or pad "
            "or crop the examples."
        )
