"""What the configs of all model families share."""

import math

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveInt, Shape


@config()
class ModelConfig(Config):
    """A model of one example, given a condition or not.

    Attributes:
        event_shape: shape of one example, channels first.
        num_classes: conditions are class labels in [0, num_classes); None: they are not.
        condition_shape: conditions are arrays of this shape; None: they are not.
    """

    event_shape: Shape = (1, 8, 8)
    num_classes: PositiveInt | None = None
    condition_shape: Shape | None = None

    def __post_init__(self) -> None:
        if self.num_classes is not None and self.condition_shape is not None:
            raise ValueError(
                "give `num_classes` (conditions are labels) or `condition_shape` (they are arrays), not both"
            )

    @property
    def event_size(self) -> int:
        """Number of entries of one example."""
        return math.prod(self.event_shape)

    @property
    def condition_size(self) -> int:
        """Length of the vector that a condition becomes (one-hot label or flattened array); 0: unconditional."""
        if self.num_classes is not None:
            return self.num_classes
        return 0 if self.condition_shape is None else math.prod(self.condition_shape)

    @property
    def pretrained_part(self) -> "ModelConfig | None":
        """The part that is trained first, on the same data, as a model of its own; None: there is none."""
        return None


def check_guidance(config: ModelConfig, condition_dropout: float, guidance_scale: float) -> None:
    """Raise unless a model can be guided as its config asks: it is conditional, and also learned without conditions.

    Args:
        config: the model's.
        condition_dropout: part of the training examples whose condition is withheld.
        guidance_scale: 1: no guidance.
    """
    if config.condition_size == 0 and (condition_dropout > 0 or guidance_scale != 1):
        raise ValueError(
            "guidance needs a conditional model: set `num_classes` or `condition_shape`, or leave "
            "`condition_dropout` 0 and `guidance_scale` 1"
        )
    if guidance_scale != 1 and condition_dropout == 0:
        raise ValueError(
            "`guidance_scale` other than 1 needs a model that also learned without conditions: set "
            "`condition_dropout`, such as 0.1"
        )
