"""Weighted sums of losses, with the weights as schedules of the training step where wanted."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import equinox as eqx
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import ScheduleConfig
from artifex.generative_models.core.schedules import make_schedule
from artifex.generative_models.core.trainable import Buffer

Weight = float | int | Array | np.ndarray | np.number | ScheduleConfig | Callable[[Array], Array]


class CompositeLossOutput(eqx.Module):
    """What a composite loss returns.

    Attributes:
        total: sum of weight times part; what is differentiated.
        parts: value of each part before its weight, by name.
        weights: weight of each part at this step, by name.
    """

    total: Float[Array, ""]
    parts: dict[str, Float[Array, ""]]
    weights: dict[str, Float[Array, ""]]


class WeightedLoss(eqx.Module):
    """A loss with a weight and a name.

    A number becomes an array outside the trainable leaves: a new value does not compile again, and no
    optimizer moves it.

    >>> from artifex.generative_models.core.configuration import LinearScheduleConfig
    >>> warm_up = WeightedLoss(lambda x: x, weight=LinearScheduleConfig(num_steps=10), name="kl")
    >>> float(warm_up(jnp.array(2.0), step=5))
    1.0

    Attributes:
        fn: function of anything to a scalar; a module with parameters is fine.
        weight: the number in a `Buffer`, the config of a schedule, or a function of the step.
        name: name of the part.
    """

    fn: Callable[..., Any]
    weight: Buffer | ScheduleConfig | Callable[[Array], Array]
    name: str = eqx.field(static=True)

    def __init__(self, fn: Callable[..., Any], weight: Weight = 1.0, *, name: str):
        """Build a weighted loss.

        Args:
            fn: function of anything to a scalar.
            weight: a finite number, the config of a schedule that says its own length, or a function of the
                step (an int32 scalar) to a scalar.
            name: name of the part, not empty.

        Raises:
            TypeError: `fn` or `weight` is of another type.
            ValueError: the number is not finite, the schedule is open in length, or the name is empty.
        """
        if not callable(fn):
            raise TypeError(f"`fn` must be a function; got {fn!r}")
        if not name:
            raise ValueError("`name` must not be empty: it names the part in the output")
        self.fn = fn
        self.weight = _checked_weight(weight, name)
        self.name = name

    def weight_at(self, step: int | Array | None) -> Float[Array, ""]:
        """The weight at a training step; only a constant one needs no step.

        Raises:
            ValueError: the weight is a schedule and `step` is None, or the schedule does not give a scalar.
        """
        if isinstance(self.weight, Buffer):
            return self.weight.value
        if step is None:
            raise ValueError(
                f"the weight of {self.name!r} changes during training: call the loss with `step`"
            )
        schedule = make_schedule(self.weight) if isinstance(self.weight, ScheduleConfig) else self.weight
        return _scalar(schedule(jnp.asarray(step, jnp.int32)), f"the weight of {self.name!r}")

    def value(self, *args: Any, **kwargs: Any) -> Float[Array, ""]:
        """The loss before its weight.

        Raises:
            ValueError: the function does not give a scalar.
        """
        return _scalar(self.fn(*args, **kwargs), f"the loss {self.name!r}")

    def __call__(self, *args: Any, step: int | Array | None = None, **kwargs: Any) -> Float[Array, ""]:
        """Weight times loss; what is not `step` goes to the function."""
        return self.weight_at(step) * self.value(*args, **kwargs)


class CompositeLoss(eqx.Module):
    """Weighted sum of losses that all take the same arguments.

    >>> from artifex.generative_models.core.losses import mae, mse
    >>> loss = CompositeLoss([
    ...     WeightedLoss(mse, weight=1.0, name="reconstruction"),
    ...     WeightedLoss(mae, weight=0.5, name="absolute"),
    ... ])
    >>> output = loss(jnp.array([2.0, 0.0]), jnp.zeros(2))
    >>> float(output.total), float(output.parts["reconstruction"]), float(output.parts["absolute"])
    (2.5, 2.0, 1.0)

    A part that needs other arguments picks them in a small function: `lambda prediction, target, model:
    l2(model)`.

    Attributes:
        losses: the parts.
    """

    losses: tuple[WeightedLoss, ...]

    def __init__(self, losses: Sequence[WeightedLoss]):
        """Build a sum of at least one loss.

        Raises:
            TypeError: a part is not a `WeightedLoss`.
            ValueError: there is no part, or two have one name.
        """
        losses = tuple(losses)
        if not losses:
            raise ValueError("a composite loss needs at least one part; got none")
        for loss in losses:
            if not isinstance(loss, WeightedLoss):
                raise TypeError(
                    f"each part must be a WeightedLoss; got {loss!r}. Wrap it: WeightedLoss(fn, name=...)."
                )
        names = [loss.name for loss in losses]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"the names of the parts must differ; got {repeated} more than once")
        self.losses = losses

    def __call__(self, *args: Any, step: int | Array | None = None, **kwargs: Any) -> CompositeLossOutput:
        """All parts and their weighted sum.

        Args:
            args: passed to every part.
            step: training step, for weights that are schedules.
            kwargs: passed to every part.
        """
        parts = {loss.name: loss.value(*args, **kwargs) for loss in self.losses}
        weights = {loss.name: loss.weight_at(step) for loss in self.losses}
        weighted = [weights[name] * value for name, value in parts.items()]
        return CompositeLossOutput(total=sum(weighted[1:], weighted[0]), parts=parts, weights=weights)


def _checked_weight(weight: Any, name: str) -> Buffer | ScheduleConfig | Callable[[Array], Array]:
    if isinstance(weight, ScheduleConfig):
        make_schedule(weight)  # an open length is an error here, not in the middle of training
        return weight
    is_array = hasattr(weight, "dtype") and jnp.shape(weight) == ()
    if is_array or (isinstance(weight, int | float) and not isinstance(weight, bool)):
        if not isinstance(weight, jax.core.Tracer) and not math.isfinite(weight):
            raise ValueError(f"`weight` of {name!r} must be finite; got {weight}")
        return Buffer(jnp.asarray(weight, jnp.float32))
    if not callable(weight):
        raise TypeError(f"`weight` of {name!r} must be a number, a schedule or its config; got {weight!r}")
    return cast(Callable[[Array], Array], weight)


def _scalar(value: Any, what: str) -> Float[Array, ""]:
    value = jnp.asarray(value)
    if value.shape != ():
        raise ValueError(
            f"{what} must be a scalar; got shape {value.shape}. Reduce it, as with reduce='mean'."
        )
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))
