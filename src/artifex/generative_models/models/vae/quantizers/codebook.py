"""A codebook that is learned by counting: nearest neighbours, moving averages, restart of unused codes.

With n_i the number of a batch's vectors whose nearest code is i, and s_i their sum,

    N_i <- decay N_i + (1 - decay) n_i,    m_i <- decay m_i + (1 - decay) s_i,    e_i = m_i / N_i.

Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A.1. Functions named `*_batch` see all vectors of a
batch; where the batch is sharded over devices, their sums go over all devices.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.models.backbones.weights import normal_weights

# Sums of many terms: the short types that a GPU takes for float32 products are not enough.
_EXACT = jax.lax.Precision.HIGHEST


class Codebook(eqx.Module):
    """The state of a codebook.

    Attributes:
        vectors: the codes' vectors.
        counts: moving average of how many vectors of a batch each code is nearest to; all 0 before training.
        sums: moving average of the sums of those vectors.
    """

    vectors: Float[Array, "codes channels"]
    counts: Float[Array, " codes"]
    sums: Float[Array, "codes channels"]


def empty_codebook(num_codes: int, embedding_size: int, *, key: Key[Array, ""]) -> Codebook:
    """A codebook before training: random vectors, which the first batch replaces."""
    vectors = normal_weights((num_codes, embedding_size), key=key)
    return Codebook(vectors, jnp.zeros(num_codes), jnp.zeros((num_codes, embedding_size)))


def nearest_codes(
    vectors: Float[Array, "codes channels"], points: Float[Array, "points channels"]
) -> Int[Array, " points"]:
    """Code of the nearest vector (Euclidean) for each point; of two equal ones the first."""
    # Distances do not change when all is moved; near the origin the expanded square loses fewest digits.
    centre = jnp.mean(vectors, axis=0, keepdims=True)
    vectors = vectors - jnp.broadcast_to(centre, vectors.shape)
    points = points - jnp.broadcast_to(centre, points.shape)
    products = jnp.matmul(points, vectors.T, precision=_EXACT)
    squares = jnp.broadcast_to(jnp.sum(vectors**2, axis=1), products.shape)
    return jnp.argmin(squares - 2 * products, axis=1).astype(jnp.int32)


def code_counts_batch(codes: Int[Array, "..."], num_codes: int) -> Float[Array, " codes"]:
    """How often each code occurs."""
    return jnp.zeros(num_codes, jnp.int32).at[codes.ravel()].add(1).astype(jnp.float32)


def perplexity_batch(codes: Int[Array, "..."], num_codes: int) -> Float[Array, ""]:
    """Exp of the entropy of the codes' frequencies: the number of codes in use, were they used equally.

    It lies between 1 and `num_codes`.
    """
    frequencies = code_counts_batch(codes, num_codes) / codes.size
    return jnp.exp(-jnp.sum(jax.scipy.special.xlogy(frequencies, frequencies)))


def first_use_batch(
    codebook: Codebook, points: Float[Array, "points channels"], *, key: Key[Array, ""]
) -> Codebook:
    """Before the first batch: codes at random points of it, as if each had been used equally. Later: no change."""
    drawn = _draw(points, len(codebook.counts), key)
    counts = jnp.full_like(codebook.counts, points.shape[0] / len(codebook.counts))
    started = Codebook(drawn, counts, drawn * counts[0])
    is_new = jnp.sum(codebook.counts) == 0
    return jax.tree.map(lambda new, old: jnp.where(is_new, new, old), started, codebook)


def update_batch(
    codebook: Codebook,
    points: Float[Array, "points channels"],
    codes: Int[Array, " points"],
    *,
    decay: float,
) -> Codebook:
    """One step of the moving averages. A code whose average count has run out keeps its vector."""
    assigned = jax.nn.one_hot(codes, len(codebook.counts), dtype=points.dtype)
    sums = jnp.matmul(assigned.T, points, precision=_EXACT)
    counts = code_counts_batch(codes, len(codebook.counts))
    counts = decay * codebook.counts + (1 - decay) * counts
    sums = decay * codebook.sums + (1 - decay) * sums
    is_used = counts > 1e-6
    means = sums / jnp.where(is_used, counts, 1.0)[:, None]
    return Codebook(jnp.where(is_used[:, None], means, codebook.vectors), counts, sums)


def restart_unused_batch(
    codebook: Codebook,
    points: Float[Array, "points channels"],
    *,
    fraction: float,
    key: Key[Array, ""],
) -> Codebook:
    """Codes with less than `fraction` of the mean use become random points of the batch, with the mean use.

    Source: Dhariwal et al. 2020, arXiv:2005.00341, section 3.1; they compare the use with a fixed number.
    """
    mean_count = jnp.mean(codebook.counts)
    is_unused = codebook.counts < fraction * mean_count
    drawn = _draw(points, len(codebook.counts), key)
    return Codebook(
        vectors=jnp.where(is_unused[:, None], drawn, codebook.vectors),
        counts=jnp.where(is_unused, mean_count, codebook.counts),
        sums=jnp.where(is_unused[:, None], drawn * mean_count, codebook.sums),
    )


def learn_batch(
    codebook: Codebook,
    points: Float[Array, "points channels"],
    *,
    decay: float,
    restart_fraction: float,
    key: Key[Array, ""],
) -> tuple[Codebook, Int[Array, " points"], Float[Array, "points channels"]]:
    """A whole training step: codes and vectors of a batch by the codebook as it is, then the codebook's update.

    Returns:
        The new codebook; the code of each point; the vector of each code, before the update.
    """
    points = jax.lax.stop_gradient(points)
    first_key, restart_key = jax.random.split(key)
    codebook = first_use_batch(codebook, points, key=first_key)
    codes = nearest_codes(codebook.vectors, points)
    new = update_batch(codebook, points, codes, decay=decay)
    new = restart_unused_batch(new, points, fraction=restart_fraction, key=restart_key)
    return new, codes, codebook.vectors[codes]


def _draw(
    points: Float[Array, "points channels"], num: int, key: Key[Array, ""]
) -> Float[Array, "num channels"]:
    """Random points of a batch, all different where there are enough."""
    if points.shape[0] < num:
        return points[jax.random.randint(key, (num,), 0, points.shape[0])]
    return points[jax.random.permutation(key, points.shape[0])[:num]]
