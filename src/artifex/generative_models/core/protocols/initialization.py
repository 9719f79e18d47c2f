"""Models whose first parameters are taken from data."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Key

from artifex.generative_models.core.arrays import Arrays


@runtime_checkable
class InitializesFromData(Protocol):
    """A model that training sets by the batch of its first step, before that step."""

    @property
    def starts_from_data(self) -> bool:
        """Whether `initialized` has parameters to set that it has not set yet; not known while it is traced."""
        ...

    def initialized(self, x: Arrays, condition: Any = None, *, key: Key[Array, ""] | None = None) -> Any:
        """The same model with parameters that fit a batch; pure, and it can be traced.

        Args:
            x: examples, shape `(batch, *event_shape)`.
            condition: their conditions, for a conditional model.
            key: randomness, for models that need some.
        """
        ...
