"""Configs of normalizing flows of images: multi-scale ones, and variational dequantization."""

from typing import Annotated, ClassVar

from pydantic import Field

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.configuration.flow.models import FlowConfig
from artifex.generative_models.core.configuration.flow.transformers import (
    AffineTransformerConfig,
    ScalarTransformerConfig,
)
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.networks import Activation


def check_image_size(event_shape: tuple[int, ...], num_halvings: int, name: str) -> None:
    """Raise unless examples are images whose height and width can be halved so often."""
    if len(event_shape) != 3:
        raise ValueError(
            f"`event_shape` must be that of an image, (channels, height, width); got {event_shape}"
        )
    unit = 2**num_halvings
    if event_shape[1] % unit or event_shape[2] % unit:
        raise ValueError(
            f"height and width must be multiples of {unit}, to be halved {num_halvings} times as `{name}` says; got "
            f"{event_shape[1]}x{event_shape[2]}. Use fewer levels, or pad the images."
        )


@config()
class ImageFlowConfig(FlowConfig):
    """Couplings of images at several scales; half of the channels leave between two scales.

    Conditions enter the convolutional networks.

    Attributes:
        num_levels: scales, each of half the height and width of the one before.
        num_steps: equal steps at each scale, compiled as one.
        transformer: what a coupling does with an entry, such as `affine` or `additive`.
        hidden_channels: width of the network in each coupling.
        num_blocks: its residual blocks.
        activation: its nonlinearity.
    """

    num_levels: PositiveInt = 2
    num_steps: PositiveInt = 8
    transformer: ScalarTransformerConfig = AffineTransformerConfig()
    hidden_channels: PositiveInt = 64
    num_blocks: PositiveInt = 1
    activation: Activation = "silu"


@config("glow")
class GlowConfig(ImageFlowConfig):
    """Steps of an ActNorm, a 1x1 convolution and a channel coupling; every scale begins with a squeeze.

    The density of the channels that leave depends on those that go on, through one convolution. Source: Kingma &
    Dhariwal 2018, arXiv:1807.03039, sections 3 and 3.1 to 3.3. Deviation: residual blocks in the couplings.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_size(self.event_shape, self.num_levels, "num_levels")


@config("image_real_nvp")
class ImageRealNVPConfig(ImageFlowConfig):
    """Checkerboard couplings, squeeze, channel couplings, and half of the channels leave; the last scale is
    checkerboard couplings alone. A step is two couplings with opposite masks.

    Source: Dinh et al. 2017, arXiv:1605.08803, sections 3.4 to 3.6. Deviation: ActNorm for batch normalisation.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_size(self.event_shape, self.num_levels - 1, "num_levels")


@config("dequantized_flow")
class DequantizedFlowConfig(ModelConfig):
    """A flow's density of real numbers as a model of integers, by variational dequantization.

    Examples are integers in [0, num_levels), as the representation `discrete` gives them. Noise u in (0, 1) is added
    by a conditional flow, and the whole is trained by its evidence lower bound; uniform noise is what the
    representations `dequantized` and `logit` add.

    Source: Ho et al. 2019 (Flow++), arXiv:1902.00275, section 3.1.

    Attributes:
        num_levels: number of values of an entry.
        flow: the density of (integer + noise) / num_levels, with the model's conditions.
        num_layers: pairs of checkerboard couplings that make the noise.
        hidden_channels: width of the network in each.
        num_blocks: its residual blocks.
    """

    support: ClassVar[str] = "tokens"

    num_levels: Annotated[int, Field(ge=2, le=65536)] = 17
    flow: FlowConfig = GlowConfig()
    num_layers: PositiveInt = 2
    hidden_channels: PositiveInt = 32
    num_blocks: PositiveInt = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_size(self.event_shape, 0, "num_levels")
        for name in ("event_shape", "num_classes", "condition_shape"):
            wanted, got = getattr(self, name), getattr(self.flow, name)
            if wanted != got:
                raise ValueError(f"`flow.{name}` must be the model's, {wanted}; got {got}")
