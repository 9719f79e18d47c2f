"""What evaluation asks of models, as structural types."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.configuration import LikelihoodConfig


@runtime_checkable
class HasELBO(Protocol):
    """Has a lower bound of log p(x)."""

    def elbo(self, x: PyTree[Array], condition: Any = None, *, key: Key[Array, ""]) -> Float[Array, " batch"]:
        """The evidence lower bound of each example, in nats, from one sample of its latents."""
        ...


@runtime_checkable
class HasImportanceWeightedBound(Protocol):
    """Has lower bounds of log p(x) that become tight as the number of samples grows."""

    def importance_weighted_bound(
        self, x: PyTree[Array], condition: Any = None, *, key: Key[Array, ""], num_samples: int
    ) -> Float[Array, " batch"]:
        """The bound from `num_samples` importance samples (Burda et al. 2016, arXiv:1509.00519), in nats."""
        ...


@runtime_checkable
class HasLikelihood(Protocol):
    """A model's config that names the distribution of the data around what is decoded."""

    @property
    def likelihood(self) -> LikelihoodConfig:
        """That distribution."""
        ...


@runtime_checkable
class HasSupport(Protocol):
    """A model's config that says what the entries of an example are, where it has no likelihood that does."""

    @property
    def support(self) -> str:
        """In the words of `Representation.support`, such as "tokens"."""
        ...


@runtime_checkable
class HasDataLevels(Protocol):
    """Has a lower bound of log p(x) that holds for data on equally spaced levels."""

    @property
    def data_levels(self) -> tuple[int, float, float]:
        """Their number, the lowest and the highest."""
        ...


@runtime_checkable
class HasCodes(Protocol):
    """Has discrete latents: codes of shape `(batch, h, w)`, or `(batch, levels, h, w)` where each level has a
    codebook of its own.
    """

    @property
    def num_codes(self) -> int:
        """Number of values that a code can take: codes lie in [0, num_codes)."""
        ...

    def encode(self, x: PyTree[Array], condition: Any = None, *, key: Any = None) -> PyTree[Array]:
        """Integer codes of examples."""
        ...


@runtime_checkable
class HasCostlyMetrics(Protocol):
    """Has metrics that take long, so that they are computed only where they are asked for by name."""

    @property
    def costly_metrics(self) -> Mapping[str, str]:
        """Their names, and what each takes, such as "solves an ODE for each example"."""
        ...
