"""Processes of token diffusion against the enumeration of all states: bounds, samplers, limits."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare
from tests.models.diffusion.tokens.enumeration import (
    EXAMPLES,
    LENGTH,
    VOCAB,
    Chain,
    index,
    perfect_denoiser,
    random_distribution,
    table_denoiser,
    udlm_rate,
)

from artifex.generative_models.core.configuration import (
    CosineTokenScheduleConfig,
    LinearTokenScheduleConfig,
    LogLinearTokenScheduleConfig,
    PolynomialTokenScheduleConfig,
)
from artifex.generative_models.models.diffusion.tokens import (
    Known,
    MaskedProcess,
    UniformProcess,
    draw_tokens,
    make_token_schedule,
)

SCHEDULES = {
    "linear": LinearTokenScheduleConfig(),
    "cosine": CosineTokenScheduleConfig(),
    "polynomial": PolynomialTokenScheduleConfig(exponent=1.5),
    "log_linear": LogLinearTokenScheduleConfig(epsilon=0.05),
}
ALPHAS = {
    "linear": lambda t: 1 - t,
    "cosine": lambda t: 1 - np.cos((1 - t) * np.pi / 2),
    "polynomial": lambda t: 1 - t**1.5,
    "log_linear": lambda t: 1 - 0.95 * t,
}
KINDS = {"masked": MaskedProcess, "uniform": UniformProcess}
NOTHING = Known(jnp.zeros(LENGTH, jnp.int32), jnp.zeros(LENGTH, bool))


def make(kind, schedule):
    """The library's process, and the oracle."""
    return KINDS[kind](make_token_schedule(SCHEDULES[schedule]), VOCAB), Chain(kind, ALPHAS[schedule])


@functools.cache
def nodes(num=48):
    """Times and weights of a quadrature that is dense at t = 0, where the integrand may rise as log t."""
    v, w = np.polynomial.legendre.leggauss(num)
    v, w = (v + 1) / 2, w / 2
    return v**3, 3 * v**2 * w


def exact_integral(process, chain, log_probs):
    """The bound on -log p(x) in continuous time of all examples: the process's rate, weighted by q and integrated.

    Args:
        process: ours.
        chain: gives q.
        log_probs: of every node of the quadrature, z, position and token.
    """
    times, weights = nodes()
    z = jnp.asarray(chain.states)
    rate = jax.vmap(process.rate, in_axes=(None, 0, 0, None))  # z
    rate = jax.vmap(rate, in_axes=(None, None, 0, 0))  # times
    rate = jax.vmap(rate, in_axes=(0, None, None, None))  # examples
    log_probs = jnp.asarray(log_probs, jnp.float32)
    rates = np.asarray(jax.jit(rate)(jnp.asarray(EXAMPLES), z, log_probs, jnp.asarray(times, jnp.float32)))
    q = np.array([[chain.noisy(x, t) for t in times] for x in EXAMPLES])
    return float(process.prior_kl(LENGTH)) + np.einsum("xtz,xtz,t->x", q, rates, weights)


def exact_steps(process, chain, probs_at, num_steps):
    """The bound of `num_steps` steps, from the process's KL of each step."""
    total = np.full(len(EXAMPLES), float(process.prior_kl(LENGTH)))
    kl = jax.vmap(process.step_kl, in_axes=(None, 0, 0, None, None))
    kl = jax.jit(jax.vmap(kl, in_axes=(0, None, None, None, None)))
    for i in range(num_steps):
        t, s = (i + 1) / num_steps, i / num_steps
        log_probs = jnp.asarray(np.log(probs_at(t)), jnp.float32)
        kls = kl(jnp.asarray(EXAMPLES), jnp.asarray(chain.states), log_probs, jnp.float32(t), jnp.float32(s))
        total += np.sum(np.array([chain.noisy(x, t) for x in EXAMPLES]) * np.asarray(kls, np.float64), axis=1)
    return total


def counts_of(process, denoise, times, *, num=20_000, known=NOTHING, seed=0):
    """How often each example is sampled."""
    keys = jax.random.split(jax.random.key(seed), num)

    @jax.jit
    def sample(keys):
        return jax.vmap(lambda key: process.sample(denoise, jnp.asarray(times), known, key=key).x)(keys)

    rows = np.asarray(jax.vmap(lambda x: index(x, VOCAB))(sample(keys)))
    return np.bincount(rows, minlength=len(EXAMPLES))


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules(name):
    """Alpha as in the papers, falling from 1; `lost` and `slope` are what belongs to it."""
    schedule, alpha = make_token_schedule(SCHEDULES[name]), ALPHAS[name]
    t = np.linspace(0.0, 1.0, 33)
    np.testing.assert_allclose(schedule.alpha(jnp.asarray(t, jnp.float32)), alpha(t), atol=2e-7)
    np.testing.assert_allclose(schedule.lost(jnp.float32(1e-5)), 1 - alpha(1e-5), rtol=1e-5)
    assert float(schedule.lost(jnp.float32(0.0))) == 0
    inner = jnp.asarray(t[1:-1], jnp.float32)
    np.testing.assert_allclose(schedule.slope(inner), -jax.vmap(jax.grad(schedule.alpha))(inner), rtol=1e-4)
    np.testing.assert_allclose(schedule.lost(inner) + schedule.alpha(inner), 1.0, rtol=1e-6)


@pytest.mark.parametrize("schedule", ["linear", "log_linear"])
@pytest.mark.parametrize("kind", list(KINDS))
class TestSteps:
    """A chain of four steps with a denoiser without structure."""

    times = np.linspace(1.0, 0.0, 5)

    def test_bound(self, kind, schedule):
        """The sum of the library's terms is that of Bayes' rule, and below the chain's own likelihood."""
        process, chain = make(kind, schedule)
        _, probs_at = table_denoiser(chain.num)
        bound = chain.bound(probs_at, self.times)
        np.testing.assert_allclose(exact_steps(process, chain, probs_at, 4), bound, rtol=2e-5)
        generated = chain.generated(probs_at, self.times)
        np.testing.assert_allclose(generated.sum(), 1.0, rtol=1e-12)
        assert (-bound <= np.log(generated)).all()

    def test_noise(self, kind, schedule):
        """q(z_t | x)."""
        process, chain = make(kind, schedule)
        keys = jax.random.split(jax.random.key(3), 20_000)
        x, t = EXAMPLES[5], 0.6
        z = jax.jit(jax.vmap(lambda key: process.noisy(jnp.asarray(x), jnp.float32(t), key=key)))(keys)
        counts = np.bincount(index(np.asarray(z).T, chain.num), minlength=len(chain.states))
        expected = 20_000 * chain.noisy(x, t)
        assert counts[expected == 0].sum() == 0
        assert chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3

    def test_samples(self, kind, schedule):
        """The sampler's distribution is the chain's, of more steps than tokens (some are left out) or fewer."""
        process, chain = make(kind, schedule)
        denoise, probs_at = table_denoiser(chain.num)
        times = self.times if schedule == "linear" else self.times[::2]
        expected = 20_000 * chain.generated(probs_at, times)
        assert chisquare(counts_of(process, denoise, times), expected).pvalue > 1e-3


class TestContinuousTime:
    """The integral, which is what training minimises."""

    @pytest.mark.parametrize("schedule", ["linear", "cosine", "polynomial"])
    @pytest.mark.parametrize("kind", list(KINDS))
    def test_tight_for_the_perfect_denoiser(self, kind, schedule):
        """Then it is log p(x), of every example."""
        process, chain = make(kind, schedule)
        p = random_distribution()
        probs_at = perfect_denoiser(chain, p)
        log_probs = np.log([probs_at(t) for t in nodes()[0]])
        np.testing.assert_allclose(exact_integral(process, chain, log_probs), -np.log(p), rtol=2e-4)
        # With steps, several tokens come back at once, each without the others: below on average.
        assert (p * chain.bound(probs_at, [1.0, 0.5, 0.0])).sum() > -(p * np.log(p)).sum() + 0.01

    @pytest.mark.parametrize("kind", list(KINDS))
    def test_limit_of_many_steps(self, kind):
        """The difference falls as one over their number."""
        process, chain = make(kind, "linear")
        _, probs_at = table_denoiser(chain.num)
        log_probs = np.log([probs_at(t) for t in nodes()[0]])
        limit = exact_integral(process, chain, log_probs)
        errors = [np.abs(exact_steps(process, chain, probs_at, n) - limit).mean() for n in (16, 32, 64)]
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        np.testing.assert_allclose(orders, 1.0, atol=0.15)

    def test_masks_average_over_orders(self):
        """For a denoiser of z alone, it is the mean over all orders of the log-likelihood in that order."""
        process, chain = make("masked", "linear")
        _, probs_at = table_denoiser(chain.num)
        probs = probs_at(0.0)
        orders = list(itertools.permutations(range(LENGTH)))
        expected = []
        for x in EXAMPLES:
            total = 0.0
            for order in orders:
                z = np.full(LENGTH, VOCAB)
                for position in order:
                    total -= np.log(probs[index(z, chain.num), position, x[position]]) / len(orders)
                    z[position] = x[position]
            expected.append(total)
        log_probs = np.broadcast_to(np.log(probs), (len(nodes()[0]), *probs.shape))
        np.testing.assert_allclose(exact_integral(process, chain, log_probs), expected, rtol=1e-5)
        # And the same on all ways from 1 to 0.
        other = exact_integral(*make("masked", "cosine"), log_probs)
        np.testing.assert_allclose(other, expected, rtol=1e-5)

    @pytest.mark.parametrize("schedule", ["cosine", "log_linear"])
    @pytest.mark.parametrize("kind", list(KINDS))
    def test_estimate_of_the_integral(self, kind, schedule):
        """Its mean over u and the noise is the integral, also where alpha(1) > 0."""
        process, chain = make(kind, schedule)
        denoise, probs_at = table_denoiser(chain.num)
        change = 0.0 if kind == "masked" else 1.0  # denoisers of masks are the same at all times
        log_probs = np.log([probs_at(change * t) for t in nodes()[0]])
        limit = exact_integral(process, chain, log_probs)[7] - float(process.prior_kl(LENGTH))
        keys = jax.random.split(jax.random.key(1), 20_000)
        u = (jnp.arange(20_000) + 0.5) / 20_000

        def estimate(u, key):
            return process.integral(jnp.asarray(EXAMPLES[7]), lambda z, t: denoise(z, change * t), u, key=key)

        found = np.asarray(jax.jit(jax.vmap(estimate))(u, keys), np.float64)
        assert abs(found.mean() - limit) < 4 * found.std() / np.sqrt(len(found))

    def test_uniform_rate_is_the_papers(self):
        """Equation 18 of Schiff et al. 2024 in its own form, in float64, also near both ends."""
        process, chain = make("uniform", "linear")
        denoise, _ = table_denoiser(chain.num)
        x, z = np.array([0, 2, 1]), np.array([0, 1, 2])
        for t in (0.001, 0.3, 0.9, 0.999):
            log_probs = denoise(jnp.asarray(z), jnp.float32(t))
            total = udlm_rate(x, z, np.exp(np.asarray(log_probs, np.float64)), 1 - t)
            rate = process.rate(jnp.asarray(x), jnp.asarray(z), log_probs, jnp.float32(t))
            np.testing.assert_allclose(rate, total, rtol=2e-4)


@pytest.mark.parametrize(("kind", "num_steps"), [("masked", 100_000), ("uniform", 200)])
def test_samples_of_the_perfect_denoiser(kind, num_steps):
    """All examples come as often as in the data, so marginals and pairs do too."""
    process, chain = make(kind, "cosine")
    p = random_distribution()
    probs_at = perfect_denoiser(chain, p)
    times = np.linspace(1.0, 0.0, num_steps + 1, dtype=np.float32)
    # Of masks the denoiser is the same at all times.
    stops = times[:-1] if kind == "uniform" else times[:1]
    table = jnp.asarray(np.log([probs_at(t) for t in np.minimum(stops, 0.999)]), jnp.float32)

    def denoise(z, t):
        row = jnp.argmin(jnp.abs(jnp.asarray(stops) - t))
        return table[row, index(z, chain.num)]

    counts = counts_of(process, denoise, times, num=8_000)
    assert chisquare(counts, 8_000 * p).pvalue > 1e-3


def test_infilling_with_masks():
    """With the perfect denoiser, what is not given has the right conditional distribution."""
    process, chain = make("masked", "linear")
    p = random_distribution()
    table = jnp.asarray(np.log(perfect_denoiser(chain, p)(0.5)), jnp.float32)
    known = Known(jnp.array([0, 2, 0]), jnp.array([False, True, False]))
    counts = counts_of(
        process, lambda z, t: table[index(z, chain.num)], np.linspace(1.0, 0.0, 10_001), known=known
    )
    fits = EXAMPLES[:, 1] == 2
    assert counts[~fits].sum() == 0
    assert chisquare(counts[fits], 20_000 * p[fits] / p[fits].sum()).pvalue > 1e-3


def test_idle_steps_cost_nothing(key):
    """At most one evaluation a token, and the trajectory still has every stop."""
    process, chain = make("masked", "linear")
    denoise, _ = table_denoiser(chain.num)
    times = jnp.linspace(1.0, 0.0, 41)
    sampled = process.sample(denoise, times, NOTHING, key=key, keep_trajectory=True)
    assert sampled.num_evaluations == LENGTH
    assert sampled.trajectory.shape == (41, LENGTH)
    masks = np.asarray(sampled.trajectory == VOCAB)
    assert masks[0].all()
    assert not masks[-1].any()
    assert (masks[1:] <= masks[:-1]).all()  # what has come back stays
    np.testing.assert_array_equal(sampled.trajectory[-1], sampled.x)


def test_draw_tokens():
    """Frequencies, also of a rare token; probabilities of zero are never drawn."""
    p = np.array([0.7, 0.2989, 0.001, 0.0001, 0.0])
    with np.errstate(divide="ignore"):
        log_probs = jnp.asarray(np.log(p), jnp.float32)
    tokens = draw_tokens(jnp.broadcast_to(log_probs, (200_000, 5)), key=jax.random.key(0))
    counts = np.bincount(tokens, minlength=5)
    assert counts[4] == 0
    assert chisquare(counts[:4], 200_000 * p[:4]).pvalue > 1e-3
