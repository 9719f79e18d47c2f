"""Training against a density that is known up to a factor, without data.

With a target density p(x) = f(x) / Z, of which f is known, and a model q that gives samples with their densities,

    ELBO = E_q[log f(x) - log q(x)] = log Z - KL(q || p)  <=  log Z,    Z = E_q[f(x) / q(x)],

so the reverse divergence KL(q || p) is trained without Z, and Z is estimated by importance sampling.

Sources: Rezende & Mohamed 2015, arXiv:1505.05770, section 4; the path gradient: Roeder et al. 2017 ("sticking the
landing"), arXiv:1703.09194, equation 8.
"""

from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import ModelConfig
from artifex.generative_models.core.evaluation import Estimate
from artifex.generative_models.core.protocols import DensityModel, LossOutput
from artifex.generative_models.core.random import check_key, example_keys
from artifex.generative_models.core.trainable import Buffer


@runtime_checkable
class SamplesWithDensity(Protocol):
    """Makes examples and says at once how probable they are."""

    @property
    def config(self) -> ModelConfig:
        """Of the model."""
        ...

    def sample_and_log_prob(self, n_samples: int, *, key: Key[Array, ""], condition: Any = None) -> Any:
        """New examples, and the logarithm of the density from which each comes, in nats."""
        ...


class ReverseKL(eqx.Module):
    """What `fit` takes in place of a model, and None in place of data, to train the model towards a density.

    >>> import artifex as ax
    >>> from artifex.generative_models.core.configuration import NSFConfig, TrainingConfig
    >>> flow = ax.create_model(NSFConfig(event_shape=(2,), num_layers=1, hidden_size=8), key=jax.random.key(0))
    >>> objective = ReverseKL(flow, lambda x: -jnp.sum(jnp.abs(x)))
    >>> training = TrainingConfig(num_steps=2, batch_size=8)
    >>> trained = ax.fit(objective, None, training, key=jax.random.key(1), progress=False).model
    >>> trained.model.generate(3, key=jax.random.key(2)).shape
    (3, 2)

    Attributes:
        model: q.
        estimator: "reparameterized": the gradient of the sampled loss; "path": without the part of it whose
            expectation is 0, so that its noise vanishes where q is p, at the cost of a pass through the inverse.
    """

    # Its batches are numbers of draws: `fit` takes None for its data.
    needs_data: ClassVar[bool] = False

    model: SamplesWithDensity
    estimator: str = eqx.field(static=True)
    _log_density: Buffer

    def __init__(
        self,
        model: Any,
        log_density: Any,
        *,
        estimator: str = "reparameterized",
    ):
        """Bring a model and a density together.

        Args:
            model: any with `sample_and_log_prob`.
            log_density: log f(x) of one example x, shape `event_shape`, to a finite scalar in nats; of x and its
                condition for a conditional model. Arrays in a module here are not trained.
            estimator: of the gradient. "path" needs an exact `log_prob`.

        Raises:
            TypeError: the model gives no densities with its samples, or not the exact ones that "path" needs, or
                `log_density` is no function.
            ValueError: an unknown estimator.
        """
        if not isinstance(model, SamplesWithDensity):
            raise TypeError(
                f"`model` must have `sample_and_log_prob`, as flows do; got {type(model).__name__}, whose samples come "
                "without densities"
            )
        if not callable(log_density):
            raise TypeError(f"`log_density` must be a function of one example; got {log_density!r}")
        if estimator not in ("reparameterized", "path"):
            raise ValueError(f"`estimator` must be 'reparameterized' or 'path'; got {estimator!r}")
        if estimator == "path" and getattr(model, "log_prob_kind", None) != "exact":
            raise TypeError(
                f"the estimator 'path' takes the exact `log_prob` of samples, which {type(model).__name__} as it is "
                "does not have: use 'reparameterized'"
            )
        self.model = model
        self.estimator = estimator
        self._log_density = Buffer(log_density)

    @property
    def config(self) -> ModelConfig:
        """That of the model."""
        return self.model.config

    def loss(
        self,
        x: Int[Array | np.ndarray, " batch"],
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
        step: Any = None,
    ) -> LossOutput:
        """KL(q || p) - log Z by one draw for each entry of `x`, in nats.

        The metrics hold the ELBO; the logarithm of the mean importance weight f / q, whose expectation lies between
        the ELBO and log Z; and the effective sample size (sum w)^2 / sum w^2, as a part of the draws.

        Args:
            x: numbers of the draws, all different: draw i uses `fold_in(key, x[i])`.
            condition: one for each draw, for a conditional model.
            key: randomness of the draws.
            step: not used.
        """
        check_key(key)
        return _loss(self, jnp.asarray(x), condition, key)

    def log_normalizer(
        self, n_samples: int, *, key: Key[Array, ""], condition: Arrays | None = None
    ) -> Estimate:
        """Log Z by importance sampling, with the standard error of the delta method.

        Where q lacks a part of p the estimate is too low, and its error does not tell.

        Args:
            n_samples: draws.
            key: randomness of the draws.
            condition: a single one, for a conditional model.
        """
        log_weights = np.asarray(self.log_weights(n_samples, key=key, condition=condition), np.float64)
        largest = log_weights.max()
        weights = np.exp(log_weights - largest)
        error = None
        if n_samples > 1:
            error = float(weights.std(ddof=1) / (weights.mean() * n_samples**0.5))
        return Estimate(float(largest + np.log(weights.mean())), error, n_samples)

    def log_weights(
        self, n_samples: int, *, key: Key[Array, ""], condition: Arrays | None = None
    ) -> Float[Array, " n_samples"]:
        """Log f(x) - log q(x) of new samples of q, in nats.

        Args:
            n_samples: how many.
            key: their randomness.
            condition: a single one, for a conditional model.
        """
        check_key(key)
        if n_samples < 1:
            raise ValueError(f"`n_samples` must be at least 1; got {n_samples}")
        condition = None if condition is None else jnp.asarray(condition)
        return _log_weights(self, example_keys(key, n_samples), condition)

    def _log_weight_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Float[Array, ""]:
        """Of one draw, with the gradient of the estimator."""
        samples, log_probs = self.model.sample_and_log_prob(1, key=key, condition=condition)
        x, log_prob = samples[0], log_probs[0]
        if self.estimator == "path":
            held = jax.tree.map(
                lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, self.model
            )
            conditions = None if condition is None else condition[None]
            log_prob = cast(DensityModel, held).log_prob(samples, condition=conditions)[0]
        function = self._log_density.value
        log_density = jnp.asarray(function(x) if condition is None else function(x, condition))
        if log_density.shape != ():
            raise ValueError(
                f"`log_density` must give a scalar for one example of shape {x.shape}; got shape {log_density.shape}"
            )
        return log_density.astype(log_prob.dtype) - log_prob


@eqx.filter_jit
def _loss(
    objective: ReverseKL, numbers: Int[Array, " batch"], condition: Any, key: Key[Array, ""]
) -> LossOutput:
    def one(number: Int[Array, ""], condition: Any) -> Float[Array, ""]:
        return objective._log_weight_one(condition, key=jax.random.fold_in(key, number))

    condition = None if condition is None else jnp.asarray(condition)
    weights = jax.vmap(one)(numbers, condition)
    elbo = jnp.mean(weights)
    num = jnp.log(jnp.float32(len(weights)))
    log_sum = jax.nn.logsumexp(weights)
    return LossOutput(
        total=-elbo,
        metrics={
            "elbo": elbo,
            "log_mean_weight": log_sum - num,
            "effective_sample_size": jnp.exp(2.0 * log_sum - jax.nn.logsumexp(2.0 * weights) - num),
        },
    )


@eqx.filter_jit
def _log_weights(objective: ReverseKL, keys: Key[Array, " n"], condition: Array | None) -> Float[Array, " n"]:
    return jax.vmap(lambda key: objective._log_weight_one(condition, key=key))(keys)
