"""Configs of normalizing flows whose networks are transformers."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import (
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Shape,
)
from artifex.generative_models.core.configuration.flow.models import FlowConfig
from artifex.generative_models.core.configuration.flow.structured import check_heads
from artifex.generative_models.core.configuration.flow.transformers import (
    AffineTransformerConfig,
    ScalarTransformerConfig,
)
from artifex.generative_models.core.configuration.models import check_guidance


@config("set_flow")
class SetFlowConfig(FlowConfig):
    """A density of sets of vectors, the same in whatever order the elements come.

    Couplings within each element, with parameters that a transformer makes of all elements.

    Attributes:
        event_shape: (elements, features), at least two features.
        num_layers: couplings, compiled as one; between two the features are reversed, so that all are mapped.
        transformer: what is done with each number.
        hidden_size: width of the transformers, a multiple of `num_heads`.
        num_hidden_layers: blocks of each.
        num_heads: attention heads of each block.
    """

    event_shape: Shape = (8, 2)
    num_layers: PositiveInt = 8
    transformer: ScalarTransformerConfig = AffineTransformerConfig()
    hidden_size: PositiveInt = 64
    num_hidden_layers: PositiveInt = 1
    num_heads: PositiveInt = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.hidden_size, self.num_heads)
        if len(self.event_shape) != 2 or self.event_shape[1] < 2:
            raise ValueError(
                "a set flow needs `event_shape` (elements, features) with at least 2 features, of which each coupling "
                f"maps some; got {self.event_shape}. Elements of one number: use `maf` and sort them, or add a feature "
                "of noise."
            )


@config("tarflow")
class TarFlowConfig(FlowConfig):
    """Autoregressive transformers on the patches of an image, in alternating order.

    Source: Zhai et al. 2024, arXiv:2412.06329.

    Attributes:
        event_shape: (channels, height, width).
        patch_size: side of a patch, in pixels; divides the sides of the image.
        num_layers: flow layers, compiled as one.
        hidden_size: width of the transformer in each, a multiple of `num_heads`.
        num_hidden_layers: blocks of each transformer.
        num_heads: attention heads of each block.
        max_log_scale: bound of the logarithm by which a layer scales a number.
        noise_scale: standard deviation of the noise that is added in training, which samples are rid of again; 0:
            none, for likelihoods.
        condition_dropout: part of the training examples whose condition is withheld, for guidance.
        guidance_scale: classifier-free guidance of `generate`: 0 unconditional, 1 conditional, more: stronger.
    """

    patch_size: PositiveInt = 2
    num_layers: PositiveInt = 4
    hidden_size: PositiveInt = 64
    num_hidden_layers: PositiveInt = 2
    num_heads: PositiveInt = 4
    max_log_scale: PositiveFloat = 5.0
    noise_scale: NonNegativeFloat = 0.05
    condition_dropout: Fraction = 0.0
    guidance_scale: NonNegativeFloat = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.hidden_size, self.num_heads)
        if len(self.event_shape) != 3 or any(side % self.patch_size for side in self.event_shape[1:]):
            raise ValueError(
                "`event_shape` must be (channels, height, width), with sides that `patch_size` divides; got "
                f"{self.event_shape} and {self.patch_size}"
            )
        check_guidance(self, self.condition_dropout, self.guidance_scale)
