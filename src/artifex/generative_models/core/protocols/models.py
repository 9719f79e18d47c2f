"""What models promise, as structural types. The bases in `core.models` keep these promises."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.protocols.outputs import LossOutput


@runtime_checkable
class Trainable(Protocol):
    """Learns from examples."""

    def loss(self, x: Arrays, condition: Any = None, *, key: Key[Array, ""], step: Any = None) -> LossOutput:
        """What training minimises, on a batch; `step` is for weights that change during training."""
        ...


@runtime_checkable
class GenerativeModel(Trainable, Protocol):
    """Learns from examples and makes new ones. Public methods take and return a leading batch axis."""

    def generate(self, n_samples: int, *, key: Key[Array, ""], condition: Any = None) -> PyTree[Array]:
        """New examples; sample `i` depends on `fold_in(key, i)` and its condition alone."""
        ...


@runtime_checkable
class DensityModel(GenerativeModel, Protocol):
    """Also says how probable examples are."""

    @property
    def log_prob_kind(self) -> str:
        """`"exact"`, `"lower bound"` or `"estimate"`."""
        ...

    def log_prob(
        self, x: Arrays, *, condition: Any = None, key: Key[Array, ""] | None = None
    ) -> Float[Array, " batch"]:
        """Log-density (log-probability for discrete data) of each example, in nats."""
        ...


@runtime_checkable
class LatentModel(GenerativeModel, Protocol):
    """Also maps examples to latent variables and back."""

    def encode(self, x: Arrays, condition: Any = None, *, key: Key[Array, ""] | None = None) -> PyTree[Array]:
        """Latents of examples: a posterior sample with a key, the posterior's centre without."""
        ...

    def decode(self, z: Arrays, condition: Any = None) -> PyTree[Array]:
        """Mean of the examples that latents stand for."""
        ...

    def reconstruct(
        self, x: Arrays, condition: Any = None, *, key: Key[Array, ""] | None = None
    ) -> PyTree[Array]:
        """Encode, then decode."""
        ...

    def interpolate(self, start: Arrays, end: Arrays, num_steps: int, condition: Any = None) -> PyTree[Array]:
        """Examples on the way from `start` to `end` through latent space."""
        ...


@runtime_checkable
class DenoisingModel(GenerativeModel, Protocol):
    """Makes examples from noise step by step, and shows the way."""

    def denoising(
        self, n_samples: int, *, key: Key[Array, ""], condition: Any = None, num_stops: int = 10
    ) -> PyTree[Array]:
        """Stops of the way to `generate(n_samples)`, first to last, shape `(n_samples, stops, *event_shape)`."""
        ...


@runtime_checkable
class HasSamplers(GenerativeModel, Protocol):
    """Makes examples by a sampler that can be chosen in the call."""

    def sample(self, n_samples: int, *, key: Key[Array, ""], condition: Any = None) -> Any:
        """New examples as the attribute `x`; further arguments, such as `sampler`, say how they are made."""
        ...
