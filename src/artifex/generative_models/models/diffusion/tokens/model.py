"""The diffusion model of tokens, of which masked and uniform diffusion are configs.

training   the bound on -log p(x) in continuous time, one random time an example, in nats per token
sampling   the reverse steps of the process over equal steps in time
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Num

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    MaskedDiffusionConfig,
    TokenDiffusionConfig,
    UniformDiffusionConfig,
)
from artifex.generative_models.core.examples import value_range
from artifex.generative_models.core.models import AbstractDensityModel, generate_examples, map_examples
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling import Sampled
from artifex.generative_models.models.backbones import condition_vector
from artifex.generative_models.models.backbones.denoisers import AbstractTokenDenoiser, make_token_denoiser
from artifex.generative_models.models.diffusion.times import MIN_TIME, draw_uniform_batch
from artifex.generative_models.models.diffusion.tokens.known import Known, known_batch
from artifex.generative_models.models.diffusion.tokens.make import make_token_process
from artifex.generative_models.models.diffusion.tokens.process import (
    AbstractTokenProcess,
    LogProbs,
    Scalar,
    TokenDenoiser,
    Tokens,
)

_NUM_LEVELS = 1000.0
_CHUNK_SIZE = 8  # noisy examples of one example that a bound looks at together


@value_range.register
def _(config: TokenDiffusionConfig) -> tuple[float, float] | None:
    return 0.0, config.vocab_size - 1.0


@register_model(MaskedDiffusionConfig)
@register_model(UniformDiffusionConfig)
class TokenDiffusion(AbstractDensityModel):
    """A network on a process that loses tokens.

    Examples are integers in [0, vocab_size) of any shape, of which the network sees a sequence. `log_prob` is a lower
    bound, up to the randomness of the noisy examples on which it is measured.

    >>> from artifex.generative_models.factory import create_model
    >>> config = MaskedDiffusionConfig(event_shape=(6,), vocab_size=4, network={"kind": "mlp", "hidden_size": 8})
    >>> model = create_model(config, key=jax.random.key(0))
    >>> model.generate(2, key=jax.random.key(1)).shape
    (2, 6)
    """

    log_prob_kind: ClassVar[str] = "lower bound"

    config: TokenDiffusionConfig = eqx.field(static=True)
    network: AbstractTokenDenoiser
    process: AbstractTokenProcess

    def __init__(self, config: TokenDiffusionConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: the parts.
            key: randomness of the weights.
        """
        self.config = config
        self.process = make_token_process(config)
        # A model that learns with and without conditions is told by one more number which it is.
        withheld = 1 if config.condition_dropout > 0 else 0
        self.network = make_token_denoiser(
            config.network,
            config.event_size,
            num_inputs=self.process.num_inputs,
            vocab_size=config.vocab_size,
            condition_size=config.condition_size + withheld,
            key=key,
        )

    # One example

    def _log_probs(self, z: Tokens, t: Scalar, vector: Array | None) -> LogProbs:
        logits = self.network(z, _NUM_LEVELS * self.process.level(z, t), vector)
        return jax.nn.log_softmax(logits.astype(jnp.float32))

    def _vector(self, condition: Array | None, is_withheld: Array | bool = False) -> Array | None:
        vector = condition_vector(self.config, condition)
        if vector is None or self.config.condition_dropout == 0:
            return vector
        kept = 1.0 - jnp.asarray(is_withheld, vector.dtype)
        return jnp.append(kept * vector, 1.0 - kept)

    def _denoiser(self, condition: Array | None, guidance_scale: float) -> TokenDenoiser:
        """The network with its condition, led away in log-probabilities from itself without one.

        Source: Ho & Salimans 2022, arXiv:2207.12598, equation 6; Schiff et al. 2024, arXiv:2412.10193, equation 8,
        have the same of the reverse step's log-probabilities; for masks that is the same but for how many come back.
        """
        ours, free = self._vector(condition), self._vector(condition, is_withheld=True)

        def denoise(z: Tokens, t: Scalar) -> LogProbs:
            if guidance_scale == 1:
                return self._log_probs(z, t, ours)
            without = self._log_probs(z, t, free)
            if guidance_scale == 0:
                return without
            return jax.nn.log_softmax(without + guidance_scale * (self._log_probs(z, t, ours) - without))

        return denoise

    def _loss_one(
        self, x: Array, condition: Array | None, u: Scalar, *, key: Key[Array, ""]
    ) -> dict[str, Array]:
        noise_key, dropout_key = jax.random.split(key)
        x, t = self._sequence(x), jnp.clip(u, MIN_TIME, 1.0 - MIN_TIME)
        is_withheld = jax.random.bernoulli(dropout_key, self.config.condition_dropout)
        z = self.process.noisy(x, t, key=noise_key)
        log_probs = self._log_probs(z, t, self._vector(condition, is_withheld))
        bound = self.process.prior_kl(len(x)) + self.process.rate(x, z, log_probs, t)
        return {"loss": bound / len(x), "elbo": -bound}

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        if key is None:  # `log_prob` says so before, as this is a bound
            raise ValueError("the bound is sampled: it needs `key`")
        return _elbo_one(
            self, x, condition, key=key, num_samples=self.config.log_prob_samples, num_steps=None
        )

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        request = _Request(self, self.times(), self.config.guidance_scale, keep_trajectory=False)
        shape = self.config.event_shape
        return _sample_one(request, condition, jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool), key=key).x

    def _sequence(self, x: Num[Array, "..."]) -> Tokens:
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise TypeError(
                f"tokens are integers in [0, {self.config.vocab_size}); got {x.dtype}. Give integers, or a "
                "representation that makes them, such as `discrete`."
            )
        return x.ravel().astype(jnp.int32)

    # Batches

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        times_key, examples_key = jax.random.split(key)
        u = draw_uniform_batch(len(x), low_discrepancy=self.config.low_discrepancy, key=times_key)
        keys = example_keys(examples_key, len(x))
        metrics = jax.vmap(lambda x, c, u, key: self._loss_one(x, c, u, key=key))(x, condition, u, keys)
        metrics = jax.tree.map(jnp.mean, metrics)
        return LossOutput(total=metrics["loss"], metrics=metrics)

    def elbo(
        self,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
        num_samples: int = 1,
        num_steps: int | None = None,
    ) -> Float[Array, " batch"]:
        """Unbiased estimates of the lower bound on log p(x), in nats.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the noisy examples.
            num_samples: noisy examples of each, their times spread evenly; the bound stays the same, its estimate gets
                better.
            num_steps: the bound of sampling in so many steps; None: in continuous time, which is tighter
                where the network is good.
        """
        for name, size in (("num_samples", num_samples), ("num_steps", num_steps)):
            if size is not None and size < 1:
                raise ValueError(f"`{name}` must be at least 1; got {size}")
        return map_examples(_elbo_one, self, x, condition, key, num_samples=num_samples, num_steps=num_steps)

    def times(self, num_steps: int | None = None) -> Float[Array, " stops"]:
        """Times at which sampling stops: equal steps from 1 to 0; by default as many as the config says."""
        num_steps = self.config.num_sampling_steps if num_steps is None else num_steps
        if not isinstance(num_steps, int | np.integer):
            raise TypeError(f"`num_steps` must be an integer; got {num_steps!r}")
        if num_steps < 1:
            raise ValueError(f"`num_steps` must be at least 1; got {num_steps}")
        return jnp.linspace(1.0, 0.0, num_steps + 1)

    def sample(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        given: Arrays | None = None,
        is_given: Arrays | None = None,
        num_steps: int | None = None,
        guidance_scale: float | None = None,
        keep_trajectory: bool = False,
        chunk_size: int | None = None,
    ) -> Sampled:
        """New examples; what is left out is as in the config, so `sample(n).x` is `generate(n)`.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            given: tokens that the samples shall have, one example for each sample, or a single one for all.
            is_given: where they shall have them: True there, in the shape of one example or of all.
            num_steps: in how many steps. Of masked diffusion, more steps than tokens cost no more evaluations.
            guidance_scale: 0 unconditional, 1 conditional, more: stronger.
            keep_trajectory: whether to return the noisy tokens at every stop too, masks as `vocab_size`.
            chunk_size: at most so many samples at once.

        Raises:
            ValueError: guidance of a model that has not learned without conditions; given tokens of a wrong shape or
                range.
            TypeError: given tokens that are no integers, or places that are not True or False.
        """
        config = self.config
        scale = config.guidance_scale if guidance_scale is None else float(guidance_scale)
        if scale < 0:
            raise ValueError(f"`guidance_scale` must be at least 0; got {scale:g}")
        if scale != 1 and config.condition_dropout == 0:
            raise ValueError(
                f"`guidance_scale` {scale:g} needs a conditional model that also learned without conditions: "
                "train it with `condition_dropout` above 0"
            )
        request = _Request(self, self.times(num_steps), scale, keep_trajectory)
        return generate_examples(
            _sample_one,
            request,
            n_samples,
            key=key,
            condition=condition,
            chunk_size=chunk_size,
            inputs=known_batch(config, given, is_given, n_samples),
        )


class _Request(eqx.Module):
    """A model, and how it is to be sampled: one value for the compiled sampling loop."""

    model: TokenDiffusion
    times: Float[Array, " stops"]
    guidance_scale: float = eqx.field(static=True)
    keep_trajectory: bool = eqx.field(static=True)

    @property
    def config(self) -> TokenDiffusionConfig:
        return self.model.config


def _sample_one(
    request: _Request,
    condition: Array | None,
    given: Int[Array, "..."],
    is_given: Bool[Array, "..."],
    *,
    key: Key[Array, ""],
) -> Sampled:
    model = request.model
    sampled = model.process.sample(
        model._denoiser(condition, request.guidance_scale),
        request.times,
        Known(given.ravel(), is_given.ravel()),
        key=key,
        keep_trajectory=request.keep_trajectory,
    )
    shape = model.config.event_shape
    trajectory = None if sampled.trajectory is None else sampled.trajectory.reshape(-1, *shape)
    return Sampled(sampled.x.reshape(shape), trajectory, sampled.num_evaluations)


def _elbo_one(
    model: TokenDiffusion,
    x: Array,
    condition: Array | None,
    *,
    key: Key[Array, ""],
    num_samples: int,
    num_steps: int | None,
) -> Float[Array, ""]:
    times_key, noise_key = jax.random.split(key)
    process, sequence = model.process, model._sequence(x)
    denoise = model._denoiser(condition, 1.0)
    u = draw_uniform_batch(num_samples, low_discrepancy=True, key=times_key)

    def part(item: tuple[Scalar, Key[Array, ""]]) -> Scalar:
        u, key = item
        if num_steps is None:
            return process.integral(sequence, denoise, u, key=key)
        step = jnp.minimum(jnp.floor(u * num_steps), num_steps - 1)
        t, s = (step + 1) / num_steps, step / num_steps
        z = process.noisy(sequence, t, key=key)
        return num_steps * process.step_kl(sequence, z, denoise(z, t), t, s)

    parts = jax.lax.map(part, (u, example_keys(noise_key, num_samples)), batch_size=_CHUNK_SIZE)
    return -process.prior_kl(len(sequence)) - jnp.mean(parts)
