"""What samplers ask of a path from data to noise, as a structural type."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float


@runtime_checkable
class GaussianPath(Protocol):
    """x_t = alpha(t) x_0 + sigma(t) noise, with t = 0 data and t = 1 noise; all functions work elementwise."""

    @property
    def t_max(self) -> float:
        """Where sampling begins."""
        ...

    def alpha(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """Factor of the data."""
        ...

    def sigma(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """Factor of the noise."""
        ...

    def log_snr(self, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """2 log(alpha / sigma), finite at both ends."""
        ...

    def time(self, log_snr: Float[Array, "..."]) -> Float[Array, "..."]:
        """The inverse of `log_snr`."""
        ...

    def derivatives(self, t: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Rates of change of alpha and sigma."""
        ...
