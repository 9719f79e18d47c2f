"""Results of an evaluation: each metric with its standard error and the number of examples behind it."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A metric.

    Attributes:
        value: its value.
        standard_error: standard deviation of the value over evaluation sets of this size; None: one example does
            not tell.
        num_examples: number of examples.
    """

    value: float
    standard_error: float | None
    num_examples: int

    def __str__(self) -> str:
        """Value and standard error."""
        error = "" if self.standard_error is None else f" +- {self.standard_error:.2g}"
        return f"{self.value:.5g}{error}"


@dataclasses.dataclass(frozen=True)
class Evaluation(Mapping[str, float]):
    """Metrics by name; `evaluation[name]` is the value, `evaluation.estimates[name]` has its standard error.

    Attributes:
        estimates: the metrics.
        unavailable: metrics that were not asked for by name and cannot be computed, with the reason.
    """

    estimates: Mapping[str, Estimate]
    unavailable: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """Value of a metric."""
        return self.estimates[name].value

    def __iter__(self) -> Iterator[str]:
        """Names of the metrics."""
        return iter(self.estimates)

    def __len__(self) -> int:
        """Number of metrics."""
        return len(self.estimates)

    def __str__(self) -> str:
        """One line for each metric."""
        width = max((len(name) for name in self.estimates), default=0)
        return "\n".join(f"{name:<{width}}  {estimate}" for name, estimate in self.estimates.items())

    def to_mapping(self) -> dict[str, dict[str, float | int | None]]:
        """Plain values, as JSON can hold them."""
        return {name: dataclasses.asdict(estimate) for name, estimate in self.estimates.items()}


def estimate_mean(values: Float[np.ndarray, " examples"], *, what: str = "metric") -> Estimate:
    """The mean of one value for each example.

    Args:
        values: the values.
        what: name of the metric, for the error message.

    Raises:
        ValueError: there are none.
        FloatingPointError: a value is NaN or infinite.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        raise ValueError(f"{what}: at least one example is required")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise FloatingPointError(
            f"{what} is not finite for {wrong.size} of {values.size} examples; the first is number {wrong[0]}, "
            f"with {values[wrong[0]]}"
        )
    error = float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else None
    return Estimate(float(values.mean()), error, int(values.size))
