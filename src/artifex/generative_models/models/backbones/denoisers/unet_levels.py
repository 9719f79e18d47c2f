"""Runs of the UNet's blocks at one size, on the way down and up."""

import itertools
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import Remat, UNetConfig
from artifex.generative_models.models.backbones.denoisers.unet_blocks import UNetBlock
from artifex.generative_models.models.backbones.remat import rematerialized
from artifex.generative_models.models.backbones.stack import Stack

_FEWEST_SCANNED = 3


class UNetLevel(eqx.Module):
    """The blocks of one level on the way down or up; runs of three or more equal ones are scanned.

    A loop keeps what the backward pass needs in arrays over its rounds, and copies into and out of them: with runs of
    two it makes a training step a tenth slower, and takes a fifth to a quarter less time to compile.
    """

    runs: tuple[UNetBlock | Stack, ...]
    remat: Remat = eqx.field(static=True)

    def __init__(
        self,
        config: UNetConfig,
        in_channels: Sequence[tuple[int, int]],
        out_channels: int,
        *,
        num_axes: int,
        has_attention: bool,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: of the network.
            in_channels: for each block, channels of what comes from the block before and of the skip connection
                that joins it, 0 for none.
            out_channels: channels of every block's output.
            num_axes: 2 for images, 1 for sequences.
            has_attention: whether attention follows each block.
            key: randomness of the weights.
        """
        runs = []
        for index, (widths, run) in enumerate(itertools.groupby(in_channels)):
            num, run_key = len(list(run)), jax.random.fold_in(key, index)

            def make(key: Key[Array, ""], width: int = sum(widths)) -> UNetBlock:
                return UNetBlock(
                    config, width, out_channels, num_axes=num_axes, has_attention=has_attention, key=key
                )

            if num >= _FEWEST_SCANNED:
                runs.append(Stack(make, num, remat=config.remat, key=run_key))
            else:
                runs.extend(make(key) for key in jax.random.split(run_key, num))
        self.runs = tuple(runs)
        self.remat = config.remat

    def down(
        self,
        h: Float[Array, "h w in_channels"],
        embedding: Float[Array, " embedding_size"],
        tokens: Float[Array, "length features"] | None,
    ) -> list[Float[Array, "h w out_channels"]]:
        """The outputs of all blocks, each the input of the next."""
        outputs = []
        for run in self.runs:
            if isinstance(run, Stack):
                h, several = run.scan(lambda block, h, _: (block(h, embedding, tokens),) * 2, h, None)
                outputs.extend(several)
            else:
                h = rematerialized(run, self.remat)(h, embedding, tokens)
                outputs.append(h)
        return outputs

    def up(
        self,
        h: Float[Array, "h w in_channels"],
        skips: list[Float[Array, "h w _"]],
        embedding: Float[Array, " embedding_size"],
        tokens: Float[Array, "length features"] | None,
    ) -> Float[Array, "h w out_channels"]:
        """The last block's output, where the outputs of the way down join the blocks' inputs, the last one first."""
        skips = [*skips]
        for run in self.runs:
            if isinstance(run, Stack):
                joining = jnp.stack([skips.pop() for _ in range(run.num_layers)])
                h, _ = run.scan(
                    lambda block, h, skip: (_joined(block)(h, skip, embedding, tokens), None), h, joining
                )
            else:
                h = rematerialized(_joined(run), self.remat)(h, skips.pop(), embedding, tokens)
        return h


def _joined(block: UNetBlock) -> Callable[..., Array]:
    """The block on what comes from the block before and from the way down, joined."""
    return lambda h, skip, *others: block(jnp.concatenate([h, skip], axis=2), *others)
