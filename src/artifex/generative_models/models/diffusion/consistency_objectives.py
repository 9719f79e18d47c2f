"""Losses of consistency models, for one example at one time.

The consistency function f(x, t) is the estimate of the data that the network's output y amounts to. With the angle
u = atan2(sigma, s alpha), s the standard deviation of the data, and w = s x / hypot(sigma, s alpha), which is x_t on
the trigonometric path with noise of the data's size,

    f = cos(u) w -+ s sin(u) y,    - for v (then s = 1), + for EDM's F,

so f(x, 0) = x whatever y. Along a trajectory of the probability-flow ODE, f shall not change. A `Denoiser` gives the
trajectory's direction: a teacher's estimate, or, in training from data, the example and its noise themselves.

Source: Lu & Song 2025, arXiv:2410.11081, section 3 (their F is -y for EDM's F, their z is s noise).
"""

import abc
import math
from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    ConsistencyObjectiveConfig,
    ContinuousConsistencyConfig,
    DiscreteConsistencyConfig,
)
from artifex.generative_models.core.sampling import AngleVariable, Denoiser
from artifex.generative_models.core.schedules import Schedule, make_schedule
from artifex.generative_models.models.diffusion.paths import AbstractPath
from artifex.generative_models.models.diffusion.predictions import AbstractPrediction, EDMPrediction

Example = Float[Array, "..."]
Scalar = Float[Array, ""]
Network = Callable[[Example, Scalar], Example]


class AbstractConsistencyObjective(eqx.Module):
    """A loss of the network's outputs along a trajectory."""

    @abc.abstractmethod
    def loss(
        self,
        network: Network,
        denoise: Denoiser,
        path: AbstractPath,
        prediction: AbstractPrediction,
        x: Example,
        t: Scalar,
        *,
        step: Array,
    ) -> tuple[Scalar, Example]:
        """The loss, and f(x, t).

        Args:
            network: (x, t) to output.
            denoise: direction of the trajectory.
            path: that of the example.
            prediction: what the output means.
            x: the example at time `t`.
            t: its time, above 0.
            step: training step.
        """


class DiscreteConsistency(AbstractConsistencyObjective):
    """Distance of f(x_t, t) from f(x_s, s), s = (1 - gap) t, where x_s lies one step of a solver on from x_t:

        (sqrt(|f(x_t, t) - stop_gradient f(x_s, s)|^2 + c^2) - c) / (tan u_t - tan u_s),    c = huber sqrt(size).

    The earlier output is that of the same weights, not of an average of them.

    Sources: Song et al. 2023, arXiv:2303.01469, equations 7 and 10; Song & Dhariwal 2024, arXiv:2310.14189, for the
    distance and the weight; Geng et al. 2024, arXiv:2406.14548, for gaps that shrink with the step alone, from 1.
    """

    gap: Schedule = eqx.field(static=True)
    huber: float = eqx.field(static=True)
    is_second_order: bool = eqx.field(static=True)

    def loss(
        self,
        network: Network,
        denoise: Denoiser,
        path: AbstractPath,
        prediction: AbstractPrediction,
        x: Example,
        t: Scalar,
        *,
        step: Array,
    ) -> tuple[Scalar, Example]:
        """The distance."""
        s = (1.0 - self.gap(step)) * t
        earlier = solver_step(denoise, path, x, t, s, is_second_order=self.is_second_order)
        far = prediction.estimate(path, network(x, t), x, t).data
        near = prediction.estimate(path, network(earlier, s), earlier, s).data
        squares = jnp.sum((far - jax.lax.stop_gradient(near)) ** 2)
        c = self.huber * math.sqrt(x.size)
        (u, cos, _), (v, cos_s, _) = (_angle(path, prediction, time) for time in (t, s))
        weight = cos * cos_s / jnp.sin(u - v)  # 1 / (tan u - tan v), finite where the data are gone
        # |difference|^2 / (root + c) is root - c without cancellation.
        return weight * squares / (jnp.sqrt(squares + c**2) + c), far


class ContinuousConsistency(AbstractConsistencyObjective):
    """The derivative of f along the trajectory, sent into the output as a target:

        mean (y - stop_gradient(y -+ g))^2,    g = cos(u) df/du
          = cos(u)^2 (dw/du -+ s y) + r cos(u) sin(u) (-w -+ s dy/du)

    divided by its root mean square plus c. The value of the loss is that of g^2; its gradient is that of f df/du.

    Source: Lu & Song 2025, arXiv:2410.11081, algorithm 1. Deviations: the norm of g is the root mean square, so that c
    does not depend on the event's size, and no weight of times is learned, as normalised tangents weigh all alike.
    """

    warmup: Schedule = eqx.field(static=True)
    normalization: float | None = eqx.field(static=True)

    def loss(
        self,
        network: Network,
        denoise: Denoiser,
        path: AbstractPath,
        prediction: AbstractPrediction,
        x: Example,
        t: Scalar,
        *,
        step: Array,
    ) -> tuple[Scalar, Example]:
        """Mean square of the tangent, with the gradient above."""
        estimate = denoise(x, t)
        _, cos, sin = _angle(path, prediction, t)
        size, sign = _size_and_sign(prediction)
        slopes = path.derivatives(t)
        radius_squared = path.sigma(t) ** 2 + (size * path.alpha(t)) ** 2
        rate = size * (path.alpha(t) * slopes[1] - path.sigma(t) * slopes[0]) / radius_squared  # du/dt
        # Both tangents times cos sin du/dt: so what is large near the ends never stands alone.
        factor = cos * sin / rate
        velocity = factor * (slopes[0] * estimate.data + slopes[1] * estimate.noise)
        output, slope = jax.jvp(network, (x, t), (velocity, factor))
        position = size / jnp.sqrt(radius_squared) * x
        change = -sin * estimate.data + cos * size * estimate.noise
        tangent = cos**2 * (change + sign * size * output)
        tangent += self.warmup(step) * (sign * size * slope - cos * sin * position)
        if self.normalization is not None:
            root = jnp.sqrt(jnp.mean(tangent**2))
            tangent = tangent / jnp.maximum(root + self.normalization, 1e-12)
        target = jax.lax.stop_gradient(output - sign * tangent)
        return jnp.mean((output - target) ** 2), prediction.estimate(path, output, x, t).data


def solver_step(
    denoise: Denoiser, path: AbstractPath, x: Example, t: Scalar, s: Scalar, *, is_second_order: bool
) -> Example:
    """One step of DDIM, or of Heun's method in the angle atan2(sigma, alpha), from `t` to the earlier `s`.

    In the angle the slope is bounded up to both ends, so gaps may be wide. It is what `ODESampler` makes of one step,
    without its choice of branches: for times that differ between the examples of a batch that would give every
    example a copy of the network's weights.
    """
    estimate = denoise(x, t)
    if not is_second_order:
        return path.alpha(s) * estimate.data + path.sigma(s) * estimate.noise
    variable = AngleVariable()
    u, v = variable.at(path, t), variable.at(path, s)
    scale = variable.scale(path, v)
    y, slope = x * variable.scale(path, u), variable.combine(path, u, estimate)
    there = variable.combine(path, v, denoise((y + (v - u) * slope) / scale, s))
    return (y + 0.5 * (v - u) * (slope + there)) / scale


def _angle(path: AbstractPath, prediction: AbstractPrediction, t: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """u, its cosine and its sine."""
    size, _ = _size_and_sign(prediction)
    alpha, sigma = size * path.alpha(t), path.sigma(t)
    radius = jnp.hypot(sigma, alpha)
    return jnp.arctan2(sigma, alpha), alpha / radius, sigma / radius


def _size_and_sign(prediction: AbstractPrediction) -> tuple[float, float]:
    """Standard deviation of the data that a prediction assumes, and the sign of its output in f."""
    return (prediction.sigma_data, 1.0) if isinstance(prediction, EDMPrediction) else (1.0, -1.0)


@singledispatch
def make_objective(config: ConsistencyObjectiveConfig, *, has_teacher: bool) -> AbstractConsistencyObjective:
    """The objective that a config describes.

    Args:
        config: its kind.
        has_teacher: whether trajectories follow a teacher. Without one they keep their data and noise, and DDIM's step
            is exact.
    """
    raise LookupError(f"no objective is registered for {type(config).__name__}; use @make_objective.register")


@make_objective.register
def _(config: DiscreteConsistencyConfig, *, has_teacher: bool) -> AbstractConsistencyObjective:
    return DiscreteConsistency(
        make_schedule(config.gap), config.huber, has_teacher and config.solver == "heun"
    )


@make_objective.register
def _(config: ContinuousConsistencyConfig, *, has_teacher: bool) -> AbstractConsistencyObjective:
    return ContinuousConsistency(make_schedule(config.warmup), config.normalization)
