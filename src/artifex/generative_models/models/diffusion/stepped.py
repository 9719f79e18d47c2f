"""What all models have that go from noise to data step by step: the times at which they stop."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import SpacingConfig, as_config
from artifex.generative_models.core.models import AbstractGenerativeModel
from artifex.generative_models.core.sampling import checked_times, make_times
from artifex.generative_models.models.diffusion.paths import AbstractPath


class AbstractSteppedModel(AbstractGenerativeModel):
    """A model on a path, whose config has a spacing of times and a number of steps."""

    config: eqx.AbstractVar[Any]
    path: eqx.AbstractVar[AbstractPath]

    def times(
        self, num_steps: int | None = None, spacing: SpacingConfig | str | None = None
    ) -> Float[Array, " stops"]:
        """Times at which sampling stops, from noise to 0; by default those of the config."""
        if not isinstance(num_steps, int | np.integer | None):
            raise TypeError(f"`num_steps` must be an integer; got {num_steps!r}")
        return make_times(
            self.config.spacing if spacing is None else as_config(SpacingConfig, spacing),
            self.path,
            self.config.num_sampling_steps if num_steps is None else num_steps,
        )

    def _stops(
        self,
        num_steps: int | None,
        spacing: SpacingConfig | str | None,
        times: Sequence[float] | Float[Array, " stops"] | None,
    ) -> Float[Array, " stops"]:
        """The same, or `times` in place of both, checked."""
        if times is None:
            return self.times(num_steps, spacing)
        if num_steps is not None or spacing is not None:
            raise ValueError("give `times`, or `num_steps` and `spacing`, but not both")
        return checked_times(times)
