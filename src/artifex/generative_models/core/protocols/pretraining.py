"""Models of which a part is trained first."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Key

from artifex.generative_models.core.arrays import Arrays


@runtime_checkable
class TakesPretrained(Protocol):
    """A model of which a part, `config.pretrained_part`, is trained first, on the same data.

    Only the trained part makes it whole: until then it neither learns nor generates.
    """

    @property
    def has_pretrained(self) -> bool:
        """Whether the model holds a trained part; not known while a function is traced."""
        ...

    def with_pretrained(self, part: Any, x: Arrays, condition: Any = None, *, key: Key[Array, ""]) -> Any:
        """The same model with the trained part in its place.

        Args:
            part: a trained model of the config `config.pretrained_part`.
            x: examples of the training data, from which the model measures what it needs to know about the part.
            condition: their conditions, for a conditional model.
            key: randomness of what is measured.
        """
        ...
