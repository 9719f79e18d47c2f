"""What all denoiser networks have in common."""

import abc
from functools import singledispatch

import equinox as eqx
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import DenoiserConfig


class AbstractDenoiserNetwork(eqx.Module):
    """A network of the form `network(x, level, condition)`, for one example."""

    @abc.abstractmethod
    def __call__(
        self,
        x: Float[Array, "..."],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "..."]:
        """Predict.

        Args:
            x: noisy example, about unit variance.
            level: its noise level, a number of size up to about 1,000.
            condition: the condition as a vector; None for an unconditional network.

        Returns:
            Array of the shape and type of `x`, but for the first axis where the network has `out_channels`.
        """


@singledispatch
def make_denoiser(
    config: DenoiserConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    out_channels: int | None = None,
    key: Key[Array, ""],
) -> AbstractDenoiserNetwork:
    """The network that a config describes, with random weights.

    Args:
        config: its kind and sizes.
        event_shape: shape of one example.
        condition_size: length of the condition vector; 0: unconditional.
        out_channels: length of the first axis of the output; None: that of the input.
        key: randomness of the weights.
    """
    raise LookupError(f"no network is registered for {type(config).__name__}; use @make_denoiser.register")
