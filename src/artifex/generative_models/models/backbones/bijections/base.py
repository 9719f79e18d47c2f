"""Invertible maps with the logarithm of their volume change.

A bijection maps one example x of the base distribution ("latent") to one example y of the data,

    y = f(x; c),    log |det dy/dx|,

with an optional condition vector c. If x has the density p(x), then y has the density

    log p(y) = log p(f^{-1}(y)) + log |det dx/dy|,

so that the log-density of data takes the inverse, and sampling takes the forward map. `jax.vmap` makes batches.
Whatever the type of the example, log-determinants are computed in float32 at least; what a bijection returns for an
example has the example's type.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Example = Float[Array, "..."]
Condition = Float[Array, " condition_size"]
LogDet = Float[Array, ""]


class AbstractBijection(eqx.Module):
    """An invertible, almost everywhere differentiable map of one example.

    Attributes:
        event_shape: shape of the example that the forward map takes.
        out_shape: shape of the example that it returns; the same number of entries.
        condition_size: length of the condition vector; 0: it takes none.
    """

    event_shape: eqx.AbstractVar[tuple[int, ...]]
    out_shape: eqx.AbstractVar[tuple[int, ...]]
    condition_size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        """`forward_and_log_det` for arguments that were checked; results may be of any floating type."""

    @abc.abstractmethod
    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        """`inverse_and_log_det` for arguments that were checked; results may be of any floating type."""

    def forward_and_log_det(self, x: Example, condition: Condition | None = None) -> tuple[Example, LogDet]:
        """From latent to data.

        Args:
            x: example of shape `event_shape`.
            condition: vector of `condition_size` numbers; None for an unconditional bijection.

        Returns:
            y of shape `out_shape` in the type of `x`, and log |det dy/dx|, in float32 at least.

        Raises:
            ValueError: the example has another shape; the condition is missing, unwanted, or of another length.
        """
        self._check(x, self.event_shape, condition)
        y, log_det = self._forward_and_log_det(x, condition)
        return y.astype(x.dtype), log_det.astype(log_det_dtype(x))

    def inverse_and_log_det(self, y: Example, condition: Condition | None = None) -> tuple[Example, LogDet]:
        """From data to latent.

        Args:
            y: example of shape `out_shape`.
            condition: vector of `condition_size` numbers; None for an unconditional bijection.

        Returns:
            x of shape `event_shape` in the type of `y`, and log |det dx/dy|, in float32 at least.

        Raises:
            ValueError: the example has another shape; the condition is missing, unwanted, or of another length.
        """
        self._check(y, self.out_shape, condition)
        x, log_det = self._inverse_and_log_det(y, condition)
        return x.astype(y.dtype), log_det.astype(log_det_dtype(y))

    def forward(self, x: Example, condition: Condition | None = None) -> Example:
        """From latent to data, without the log-determinant, which the compiler leaves out."""
        return self.forward_and_log_det(x, condition)[0]

    def inverse(self, y: Example, condition: Condition | None = None) -> Example:
        """From data to latent, without the log-determinant, which the compiler leaves out."""
        return self.inverse_and_log_det(y, condition)[0]

    def _check(self, example: Example, shape: tuple[int, ...], condition: Condition | None) -> None:
        name = type(self).__name__
        if example.shape != shape:
            raise ValueError(
                f"{name} maps one example of shape {shape}; got shape {example.shape}. For a batch, jax.vmap the "
                "method."
            )
        if condition is None:
            if self.condition_size:
                raise ValueError(
                    f"{name} needs a condition vector of {self.condition_size} numbers; got None. Pass `condition`."
                )
        elif self.condition_size == 0:
            raise ValueError(
                f"{name} is unconditional; got a condition of shape {condition.shape}. Leave it out, or build the "
                "bijection with a `condition_size`."
            )
        elif condition.shape != (self.condition_size,):
            raise ValueError(
                f"{name} needs a condition vector of shape ({self.condition_size},); got shape {condition.shape}"
            )


class AbstractSameShapeBijection(AbstractBijection):
    """A bijection whose result has the shape of its argument."""

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of what the forward map returns."""
        return self.event_shape


class AbstractUnconditionalBijection(AbstractSameShapeBijection):
    """A bijection that keeps the shape and takes no condition."""

    @property
    def condition_size(self) -> int:
        """It takes none."""
        return 0


def log_det_dtype(example: Array) -> jnp.dtype:
    """The type of log-determinants: that of the example, but float32 at least."""
    return jnp.promote_types(example.dtype, jnp.float32)


def log_det_sum(log_derivatives: Float[Array, "..."], axis: int | None = None) -> Float[Array, "..."]:
    """Sum of the logarithms of elementwise derivatives, of all or along an axis, in float32 at least."""
    return jnp.sum(log_derivatives, axis=axis, dtype=log_det_dtype(log_derivatives))


def check_vector_shape(name: str, event_shape: tuple[int, ...]) -> int:
    """Length of the vectors of `event_shape`.

    Raises:
        ValueError: examples are not vectors.
    """
    if len(event_shape) != 1 or event_shape[0] < 1:
        raise ValueError(f"{name} maps vectors, whose `event_shape` is (size,); got {event_shape}")
    return event_shape[0]
