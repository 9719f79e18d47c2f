"""What a loss returns."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float


class LossOutput(eqx.Module):
    """Result of a model's loss on a batch.

    Attributes:
        total: what is differentiated.
        metrics: what is logged; the names are stable.
        model: the same model with new buffers, when the loss changed any.
    """

    total: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    model: Any = None
