"""The KL of a batch of posteriors in three parts, from the batch itself.

With the aggregate posterior q(z) = 1/N sum_n q(z|x_n) over the N training examples and a factorised prior,

    E_n KL(q(z|x_n) || p(z)) =   E[log q(z|x_n) - log q(z)]              mutual information
                               + E[log q(z) - sum_d log q(z_d)]          total correlation
                               + E[sum_d (log q(z_d) - log p(z_d))]      dimension-wise KL.

log q(z_i) is estimated by the log of a weighted sum over the batch, sum_j W_ij q(z_i|x_j).
Source: Chen et al. 2018, arXiv:1802.04942, equations 2 and 3, and their appendix on minibatch-stratified sampling.
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

AggregateEstimator = Literal["weighted", "stratified"]


class KLParts(eqx.Module):
    """Means over a batch, in nats; their sum is a one-sample estimate of the KL, whatever the weights W are."""

    mutual_information: Float[Array, ""]
    total_correlation: Float[Array, ""]
    dimension_wise_kl: Float[Array, ""]


def kl_decomposition_batch(
    z: Float[Array, "batch latent"],
    loc: Float[Array, "batch latent"],
    scale: Float[Array, "batch latent"],
    *,
    dataset_size: int,
    estimator: AggregateEstimator = "weighted",
) -> KLParts:
    """The three parts for Gaussian posteriors and a standard normal prior.

    Args:
        z: one sample of each posterior.
        loc: means of the posteriors.
        scale: standard deviations of the posteriors.
        dataset_size: N, the number of training examples that the batch is drawn from.
        estimator: "weighted" or "stratified"; see `log_batch_weights`.
    """
    log_q = _log_normal(z[:, None, :], loc[None, :, :], scale[None, :, :])  # z_i under posterior j, by latent
    log_w = log_batch_weights(z.shape[0], dataset_size, estimator)
    log_posterior = jnp.sum(_log_normal(z, loc, scale), axis=-1)
    log_aggregate = jax.nn.logsumexp(log_w + jnp.sum(log_q, axis=-1), axis=1)
    log_product = jnp.sum(jax.nn.logsumexp(log_w[:, :, None] + log_q, axis=1), axis=-1)
    log_prior = jnp.sum(_log_normal(z, jnp.zeros_like(z), jnp.ones_like(z)), axis=-1)
    return KLParts(
        mutual_information=jnp.mean(log_posterior - log_aggregate),
        total_correlation=jnp.mean(log_aggregate - log_product),
        dimension_wise_kl=jnp.mean(log_product - log_prior),
    )


def log_batch_weights(
    batch_size: int, dataset_size: int, estimator: AggregateEstimator = "weighted"
) -> Float[Array, "batch batch"]:
    """Logarithms of W, where sum_j W_ij q(z_i|x_j) estimates q(z_i) and z_i is a sample of q(z|x_i).

    "weighted": W_ij = 1 / (N B): a lower bound of q(z), simple and of low variance.
    "stratified": with M = B - 1, W_ii = 1/N, one other entry (N - M) / (N M), the rest 1/M: unbiased for a batch
    drawn without replacement. Deviation from the authors' code, which puts the 1/N in the first column: here it
    stands on the diagonal, where the derivation has it.

    Raises:
        ValueError: the batch is larger than the data, or has one example and "stratified" needs another one.
    """
    if batch_size > dataset_size:
        raise ValueError(
            f"a batch of {batch_size} examples cannot come from `dataset_size` {dataset_size}; "
            "set the objective's `dataset_size` to the number of training examples"
        )
    if estimator == "weighted":
        return jnp.full((batch_size, batch_size), -math.log(dataset_size * batch_size))
    if batch_size < 2:
        raise ValueError("the estimator 'stratified' needs at least 2 examples in a batch; got 1")
    others = batch_size - 1
    own = jnp.eye(batch_size)
    remainder = jnp.roll(own, 1, axis=1)
    weights = (
        own / dataset_size
        + remainder * (dataset_size - others) / (dataset_size * others)
        + (1 - own - remainder) / others
    )
    return jnp.log(weights)


def _log_normal(z: Array, loc: Array, scale: Array) -> Array:
    return -0.5 * jnp.square((z - loc) / scale) - jnp.log(scale) - 0.5 * math.log(2 * math.pi)
