"""Configs of the transformers on the patches of an image."""

from typing import Literal

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.networks import (
    AttentionKernel,
    DenoiserConfig,
    Remat,
)
from artifex.generative_models.core.configuration.fields import PositiveInt, TokenShape
from artifex.utils.messages import unknown_name


@config()
class PatchTransformerConfig(DenoiserConfig):
    """What they share. Sides of the image must be divisible by the patch size.

    Attributes:
        patch_size: side of a patch, in pixels.
        hidden_size: width, a multiple of 4 and of `num_heads`.
        num_layers: transformer blocks.
        num_heads: attention heads of each.
        mlp_ratio: width of each block's MLP, in units of `hidden_size`.
        condition_tokens: (length, features): the condition begins with a sequence of tokens, row by row; none: it is
            a vector.
        attention: kernel of the attention on GPUs.
        remat: what the backward pass computes again, block by block.
    """

    patch_size: PositiveInt = 2
    hidden_size: PositiveInt = 384
    num_layers: PositiveInt = 12
    num_heads: PositiveInt = 6
    mlp_ratio: PositiveInt = 4
    condition_tokens: TokenShape | None = None
    attention: AttentionKernel = "auto"
    remat: Remat = "none"

    def __post_init__(self) -> None:
        if self.hidden_size % 4 or self.hidden_size % self.num_heads:
            raise ValueError(
                "`hidden_size` must be divisible by 4 (sines and cosines of rows and columns) and by `num_heads`; got "
                f"{self.hidden_size} and {self.num_heads} heads"
            )

    @property
    def head_size(self) -> int:
        """Features of each attention head."""
        return self.hidden_size // self.num_heads


@config("dit")
class DiTConfig(PatchTransformerConfig):
    """Noise level and condition modulate every block (adaLN-Zero); to condition tokens it attends.

    Attributes:
        positions: how the patches' places are told: sines and cosines, added to the patches, or rotations of queries
            and keys, for which heads are multiples of 4 wide.
    """

    positions: Literal["sin_cos", "rotary"] = "sin_cos"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions == "rotary" and self.head_size % 4:
            raise ValueError(
                "rotary `positions` need heads of a multiple of 4 features (pairs for rows and columns); got "
                f"{self.hidden_size} / {self.num_heads} = {self.head_size}"
            )


_DIT_SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}


def dit_size(size: str, *, patch_size: int = 2) -> DiTConfig:
    """A DiT of one of the published sizes; `dit_size("XL", patch_size=2)` is DiT-XL/2.

    Args:
        size: "S" (33 million parameters), "B" (130), "L" (458) or "XL" (675).
        patch_size: side of a patch, 2, 4 or 8 in the paper.

    Source: Peebles & Xie 2023, arXiv:2212.09748, table 1.
    """
    if size not in _DIT_SIZES:
        raise ValueError(unknown_name("size of a DiT", size, _DIT_SIZES))
    hidden_size, num_layers, num_heads = _DIT_SIZES[size]
    return DiTConfig(
        patch_size=patch_size, hidden_size=hidden_size, num_layers=num_layers, num_heads=num_heads
    )


@config("u_vit")
class UViTConfig(PatchTransformerConfig):
    """Noise level, condition and patches are all tokens; blocks of the second half are joined to those of the first.

    `num_layers` is odd: one block stands in the middle.
    """

    hidden_size: PositiveInt = 512
    num_layers: PositiveInt = 13
    num_heads: PositiveInt = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_layers < 3 or self.num_layers % 2 == 0:
            raise ValueError(
                "`num_layers` must be odd and at least 3, for as many blocks before the middle one as after it; got "
                f"{self.num_layers}"
            )


_U_VIT_SIZES = {"S": (512, 13, 8), "M": (768, 17, 12), "L": (1024, 21, 16), "H": (1152, 29, 16)}


def u_vit_size(size: str, *, patch_size: int = 2) -> UViTConfig:
    """A U-ViT of one of the published sizes; `u_vit_size("H", patch_size=2)` is U-ViT-H/2.

    Args:
        size: "S" (44 million parameters), "M" (131), "L" (287) or "H" (501).
        patch_size: side of a patch, 2 or 4 in the paper.

    Source: Bao et al. 2023, arXiv:2209.12152, table 1.
    """
    if size not in _U_VIT_SIZES:
        raise ValueError(unknown_name("size of a U-ViT", size, _U_VIT_SIZES))
    hidden_size, num_layers, num_heads = _U_VIT_SIZES[size]
    return UViTConfig(
        patch_size=patch_size, hidden_size=hidden_size, num_layers=num_layers, num_heads=num_heads
    )


@config("mm_dit")
class MMDiTConfig(PatchTransformerConfig):
    """Condition tokens and patches run in two streams of own weights, which attend to both together.

    Attributes:
        condition_tokens: (length, features) of the tokens with which the condition begins; required. What comes after
            them, such as a pooled vector, modulates every block with the noise level.
        has_qk_norm: whether queries and keys have unit mean square, but for a learned factor, which keeps attention
            stable in bfloat16.
    """

    condition_tokens: TokenShape = (1, 10)
    has_qk_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_layers < 2:
            raise ValueError(
                f"`num_layers` must be at least 2, as the last block drops the tokens; got {self.num_layers}"
            )


def mm_dit_size(
    num_layers: int, *, condition_tokens: tuple[int, int], patch_size: int = 2, has_qk_norm: bool = True
) -> MMDiTConfig:
    """An MM-DiT by the published rule: `num_layers` heads of 64 features each.

    Args:
        num_layers: 15, 18, 21, 30 or 38 (8 billion parameters) in the paper; 24 (2 billion) in SD3-medium.
        condition_tokens: as in `MMDiTConfig`.
        patch_size: side of a patch.
        has_qk_norm: as in `MMDiTConfig`.

    Source: Esser et al. 2024, arXiv:2403.03206, section 4.
    """
    return MMDiTConfig(
        patch_size=patch_size,
        hidden_size=64 * num_layers,
        num_layers=num_layers,
        num_heads=num_layers,
        condition_tokens=condition_tokens,
        has_qk_norm=has_qk_norm,
    )
