"""Simulation-based calibration of posteriors.

For parameters theta of the prior, an observation x of the simulator given theta, and L draws of the posterior given x,
the rank of theta among the draws is uniform on 0 ... L in each parameter, if the posterior is the right one. And a
region of credibility c holds theta with probability c.

Source: Talts et al. 2018, arXiv:1804.06788, theorem 1 and algorithm 1; regions of highest density: Hermans et al. 2022,
arXiv:2110.06581, section 2.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.protocols import DensityModel
from artifex.generative_models.core.random import check_key

_PER_BIN = 20  # simulations that a bin should hold at least, for the law of the test statistic
_MAX_BINS = 50


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Ranks of true parameters among draws of their posteriors.

    Attributes:
        ranks: in [0, num_draws], one row for each simulation, one column for each parameter.
        density_ranks: for each simulation, how many draws have a higher posterior density than the truth; None: there
            are no densities.
        num_draws: draws of each posterior.
        num_bins: equal bins of ranks, for `counts` and `p_values`.
    """

    ranks: Int[np.ndarray, "simulations parameters"]
    density_ranks: Int[np.ndarray, " simulations"] | None
    num_draws: int
    num_bins: int

    @property
    def num_simulations(self) -> int:
        """How many."""
        return len(self.ranks)

    @property
    def counts(self) -> Int[np.ndarray, "bins parameters"]:
        """How many ranks lie in each bin."""
        bins = self.ranks * self.num_bins // (self.num_draws + 1)
        return np.stack([np.bincount(column, minlength=self.num_bins) for column in bins.T], axis=1)

    @property
    def p_values(self) -> Float[np.ndarray, " parameters"]:
        """Probability of counts as uneven as these if ranks are uniform, by Pearson's chi-squared test.

        Of several parameters, compare the least one with the wanted level divided by their number.
        """
        expected = self.num_simulations / self.num_bins
        statistic = np.sum((self.counts - expected) ** 2, axis=0) / expected
        return np.asarray(jax.scipy.special.gammaincc((self.num_bins - 1) / 2, jnp.asarray(statistic / 2)))

    def coverage(self, levels: Float[np.ndarray, " levels"]) -> Float[np.ndarray, "levels parameters"]:
        """How many central credible intervals of each level hold the truth; of calibrated posteriors, the level.

        Args:
            levels: in [0, 1].
        """
        from_middle = np.abs((2 * self.ranks + 1) / (self.num_draws + 1) - 1)
        return np.mean(from_middle[None] <= np.asarray(levels)[:, None, None], axis=1)

    def density_coverage(self, levels: Float[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"] | None:
        """The same of regions of highest density, in all parameters together; None: there are no densities.

        Args:
            levels: in [0, 1].
        """
        if self.density_ranks is None:
            return None
        shares = (self.density_ranks + 0.5) / (self.num_draws + 1)
        return np.mean(shares[None] <= np.asarray(levels)[:, None], axis=1)


def calibration_of_draws(
    parameters: Arrays,
    draws: Arrays,
    *,
    log_prob: Arrays | None = None,
    draws_log_prob: Arrays | None = None,
    num_bins: int | None = None,
) -> Calibration:
    """The calibration of posteriors from which draws are there.

    Args:
        parameters: true ones of each simulation, shape `(simulations, ...)`.
        draws: independent draws of each posterior, shape `(simulations, draws, ...)`.
        log_prob: log-density of the truth under its posterior, shape `(simulations,)`; None: not known.
        draws_log_prob: those of the draws, shape `(simulations, draws)`.
        num_bins: bins of ranks, a divisor of `draws + 1`; None: the most, up to 50, that 20 simulations each fill.

    Raises:
        ValueError: shapes do not fit, a number is not finite, no number of bins fits, or one alone of the two
            densities is given.
    """
    truth, made = np.asarray(parameters, np.float64), np.asarray(draws, np.float64)
    if truth.ndim < 1 or made.ndim < 2 or (made.shape[0], *made.shape[2:]) != truth.shape or made.size == 0:
        raise ValueError(
            "`parameters` must have shape (simulations, ...) and `draws` (simulations, draws, ...); got "
            f"{truth.shape} and {made.shape}"
        )
    if not (np.isfinite(truth).all() and np.isfinite(made).all()):
        raise ValueError("`parameters` and `draws` must be finite")
    num, num_draws = made.shape[:2]
    ranks = np.sum(made.reshape(num, num_draws, -1) < truth.reshape(num, 1, -1), axis=1)
    if (log_prob is None) != (draws_log_prob is None):
        raise ValueError("give both `log_prob` and `draws_log_prob`, or neither")
    density_ranks = None
    if log_prob is not None and draws_log_prob is not None:
        of_truth, of_draws = np.asarray(log_prob, np.float64), np.asarray(draws_log_prob, np.float64)
        if of_truth.shape != (num,) or of_draws.shape != (num, num_draws):
            raise ValueError(
                f"densities must have shapes {(num,)} and {(num, num_draws)}; got {of_truth.shape} and {of_draws.shape}"
            )
        density_ranks = np.sum(of_draws > of_truth[:, None], axis=1)
    return Calibration(ranks, density_ranks, num_draws, _checked_bins(num_bins, num, num_draws))


def simulation_based_calibration(
    model: Any,
    parameters: Arrays,
    observations: Arrays,
    *,
    key: Key[Array, ""],
    num_draws: int = 99,
    num_bins: int | None = None,
    chunk_size: int | None = None,
) -> Calibration:
    """Calibration of an amortised posterior: a conditional model of parameters given observations.

    With an exact density, regions of highest density are judged, too.

    Args:
        model: gives parameters for a condition, as `generate` of every conditional model does.
        parameters: drawn from the prior, not trained on, shape `(simulations, *event_shape)`; some hundred or more.
        observations: simulated from them, `(simulations, *condition_shape)`.
        key: randomness of the draws.
        num_draws: of each posterior; `num_draws + 1` should have many divisors.
        num_bins: bins of ranks, a divisor of `num_draws + 1`; None: the most, up to 50, that 20 simulations each fill.
        chunk_size: at most so many draws at once; None: all.

    Raises:
        ValueError: there are fewer simulations than two bins need, or other numbers of parameters and observations.
    """
    check_key(key)
    truth, seen = np.asarray(parameters), np.asarray(observations)
    if len(truth) != len(seen) or len(truth) == 0:
        raise ValueError(
            f"`parameters` and `observations` must be equally many; got {len(truth)} and {len(seen)}"
        )
    num = len(truth)
    num_bins = _checked_bins(num_bins, num, num_draws)
    repeated = np.repeat(seen, num_draws, axis=0)
    draws = model.generate(num * num_draws, key=key, condition=repeated, chunk_size=chunk_size)
    shaped = np.asarray(draws).reshape(num, num_draws, *truth.shape[1:])
    if not isinstance(model, DensityModel) or model.log_prob_kind != "exact":
        return calibration_of_draws(truth, shaped, num_bins=num_bins)

    def log_prob(x: np.ndarray, condition: np.ndarray) -> np.ndarray:
        return np.asarray(model.log_prob(x, condition=condition))

    return calibration_of_draws(
        truth,
        shaped,
        log_prob=log_prob(truth, seen),
        draws_log_prob=_in_chunks(log_prob, np.asarray(draws), repeated, chunk_size).reshape(num, num_draws),
        num_bins=num_bins,
    )


def _in_chunks(
    function: Callable[..., np.ndarray], x: np.ndarray, condition: np.ndarray, chunk_size: int | None
) -> np.ndarray:
    """`function` of equal parts, the last filled up from the front, so that one program serves all."""
    num = len(x)
    size = num if chunk_size is None else min(chunk_size, num)
    places = np.arange(-(-num // size) * size) % num
    parts = [places[start : start + size] for start in range(0, len(places), size)]
    return np.concatenate([function(x[part], condition[part]) for part in parts])[:num]


def _checked_bins(num_bins: int | None, num: int, num_draws: int) -> int:
    if num_draws < 1:
        raise ValueError(f"at least one draw of each posterior is needed; got {num_draws}")
    divisors = [size for size in range(2, num_draws + 2) if (num_draws + 1) % size == 0]
    if num_bins is None:
        fitting = [size for size in divisors if size <= min(num / _PER_BIN, _MAX_BINS)]
        if not fitting:
            raise ValueError(
                f"{num} simulations are too few to fill bins of ranks with {_PER_BIN} each, for {num_draws} draws, of "
                f"which the numbers of bins {divisors[:4]} ... are possible: simulate more, take a number of draws "
                "such as 99, or give `num_bins`"
            )
        return fitting[-1]
    if num_bins not in divisors:
        raise ValueError(
            f"`num_bins` must be at least 2 and divide num_draws + 1 = {num_draws + 1}; got {num_bins}"
        )
    return num_bins
