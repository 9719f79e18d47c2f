"""The diffusion model: its loss against float64 NumPy, guidance's limits, latents, and what it learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AdamConfig,
    DDIMSamplerConfig,
    DDPMConfig,
    DPMSolverMultistepSamplerConfig,
    EDMConfig,
    FlowMatchingConfig,
    HeunSamplerConfig,
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LevelTimesConfig,
    LogitNormalTimesConfig,
    LogNormalSigmaTimesConfig,
    MinSNRWeightingConfig,
    MLPDenoiserConfig,
    NoisePredictionConfig,
    P2WeightingConfig,
    ScoreSDEConfig,
    SNRWeightingConfig,
    TrainingConfig,
    UniformTimesConfig,
    VelocityPredictionConfig,
    VPPathConfig,
    VPredictionConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.diffusion.paths import make_path
from artifex.generative_models.models.diffusion.predictions import make_prediction
from artifex.generative_models.models.diffusion.times import draw_times_batch
from artifex.generative_models.models.diffusion.weightings import weight
from artifex.generative_models.training import fit

SMALL = MLPDenoiserConfig(hidden_size=16, num_layers=1)


@pytest.fixture(scope="module")
def guided_model():
    """With conditions that it sometimes does not see, moved away from its start."""
    config = FlowMatchingConfig(
        event_shape=(2,), num_classes=3, condition_dropout=0.2, network=SMALL, num_sampling_steps=4
    )
    model = create_model(config, key=jax.random.key(0))
    noise = lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(leaf.size), leaf.shape)  # noqa: E731
    return jax.tree.map(lambda leaf: noise(leaf) if eqx.is_inexact_array(leaf) else leaf, model)


class TestWeightings:
    """Multiples of the data's error, whatever the network puts out."""

    path = make_path(VPPathConfig())

    @pytest.mark.parametrize(
        "kind", [NoisePredictionConfig(), VPredictionConfig(), VelocityPredictionConfig()]
    )
    @pytest.mark.parametrize(
        ("config", "of_snr"),
        [
            (SNRWeightingConfig(), lambda snr: snr),
            (MinSNRWeightingConfig(gamma=4.0), lambda snr: np.minimum(snr, 4.0)),
            (P2WeightingConfig(gamma=0.5, k=2.0), lambda snr: snr / (2.0 + snr) ** 0.5),
        ],
    )
    def test_weight_of_the_data_error(self, config, of_snr, kind):
        """An error of the data by one goes through the prediction and comes out with the paper's weight."""
        prediction = make_prediction(kind)
        for t in (0.05, 0.4, 0.9):
            t = jnp.float32(t)
            x = jnp.array([0.7])
            # Two outputs at one x_t whose data estimates differ by exactly e.
            estimates = [prediction.estimate(self.path, jnp.array([y]), x, t).data for y in (0.0, 1.0)]
            data_error = float((estimates[1] - estimates[0])[0])
            ours = float(weight(config, self.path, prediction, t)) * 1.0**2
            snr = float(self.path.alpha(t) / self.path.sigma(t)) ** 2
            np.testing.assert_allclose(ours, of_snr(snr) * data_error**2, rtol=1e-3)


class TestTimes:
    """Their distributions."""

    path = make_path(VPPathConfig())

    def test_moments(self, key):
        """Means and spreads of the defining variable, within 4 standard errors."""
        n = 20_000
        t = np.asarray(draw_times_batch(UniformTimesConfig(), self.path, n, key=key), np.float64)
        assert abs(t.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
        t = np.asarray(draw_times_batch(LogitNormalTimesConfig(mean=0.3, std=0.8), self.path, n, key=key))
        normal = np.log(t / (1 - t))
        assert abs(normal.mean() - 0.3) < 4 * 0.8 / np.sqrt(n)
        assert abs(normal.std() - 0.8) < 4 * 0.8 / np.sqrt(2 * n)
        t = draw_times_batch(LogNormalSigmaTimesConfig(), self.path, n, key=key)
        log_sigma = -0.5 * np.asarray(self.path.log_snr(t))
        assert abs(log_sigma.mean() + 1.2) < 4 * 1.2 / np.sqrt(n)
        levels = np.asarray(draw_times_batch(LevelTimesConfig(num_levels=10), self.path, n, key=key)) * 10
        values, counts = np.unique(np.round(levels, 4), return_counts=True)
        np.testing.assert_array_equal(values, np.arange(1, 11))
        assert (np.abs(counts - n / 10) < 4 * np.sqrt(n * 0.09)).all()

    def test_low_discrepancy(self, key):
        """One time in each of n equal parts, and each time alone still uniform."""
        config = UniformTimesConfig(low_discrepancy=True)
        t = np.sort(draw_times_batch(config, self.path, 64, key=key))
        np.testing.assert_allclose(np.diff(t), 1 / 64, rtol=1e-3)
        firsts = [draw_times_batch(config, self.path, 4, key=jax.random.key(i))[2] for i in range(400)]
        assert abs(np.mean(firsts) - 0.5) < 4 * np.sqrt(1 / 12 / 400)


@pytest.mark.parametrize("make", [FlowMatchingConfig, EDMConfig, DDPMConfig, ScoreSDEConfig])
def test_loss_is_the_weighted_squared_error(make, key):
    """From the network's outputs at the same noise and times, put together here in float64."""
    model = create_model(make(event_shape=(3,), network=SMALL), key=key)
    x = jax.random.normal(jax.random.key(1), (5, 3))
    output = model.loss(x, key=jax.random.key(2))

    times_key, examples_key = jax.random.split(jax.random.key(2))
    t = draw_times_batch(model.config.times, model.path, 5, key=times_key)
    losses = []
    for i in range(5):
        noise_key, _ = jax.random.split(jax.random.fold_in(examples_key, i))
        noise = np.asarray(jax.random.normal(noise_key, (3,)), np.float64)
        alpha, sigma = float(model.path.alpha(t[i])), float(model.path.sigma(t[i]))
        noisy = alpha * np.asarray(x[i], np.float64) + sigma * noise
        estimate = model.denoise(jnp.asarray(noisy[None], jnp.float32), t[i])
        # All these losses are, up to a factor of the time alone, the error of the data.
        error = np.mean((np.asarray(estimate.data[0], np.float64) - np.asarray(x[i], np.float64)) ** 2)
        if make is FlowMatchingConfig:
            losses.append(
                error / sigma**2
            )  # velocity = noise - data, noise error = -alpha / sigma data error
        elif make is EDMConfig:
            losses.append(error * (sigma**2 + 0.25) / (sigma * 0.5) ** 2)  # lambda(sigma) of the paper
        else:
            losses.append(error * (alpha / sigma) ** 2)  # the error of the noise
    np.testing.assert_allclose(output.total, np.mean(losses), rtol=2e-3)


class TestSampling:
    """`generate` and `sample`."""

    def test_sample_is_generate(self, guided_model, key):
        """With nothing said, and with the config's own words."""
        labels = jnp.array([0, 1, 2])
        expected = guided_model.generate(3, key=key, condition=labels)
        np.testing.assert_array_equal(guided_model.sample(3, key=key, condition=labels).x, expected)
        said = guided_model.sample(
            3, key=key, condition=labels, sampler=DDIMSamplerConfig(), num_steps=4, guidance_scale=1.0
        )
        np.testing.assert_array_equal(said.x, expected)

    def test_any_sampler_and_spacing(self, guided_model, key):
        """Trajectories and numbers of evaluations come along."""
        for sampler, evaluations in (
            (HeunSamplerConfig(), 2 * 6 - 1),
            (DPMSolverMultistepSamplerConfig(), 6),
            (DDIMSamplerConfig(eta=0.3), 6),
        ):
            sampled = guided_model.sample(
                2,
                key=key,
                condition=1,
                sampler=sampler,
                num_steps=6,
                spacing=KarrasSpacingConfig(),
                keep_trajectory=True,
            )
            assert sampled.trajectory.shape == (2, 7, 2)
            np.testing.assert_array_equal(sampled.trajectory[:, -1], sampled.x)
            assert (sampled.num_evaluations == evaluations).all()

    def test_guidance(self, guided_model, key):
        """0 is the unconditional model, the same for all labels; 1 the conditional one; 2 goes as far again beyond."""
        x = jax.random.normal(key, (3, 2))
        labels = jnp.array([0, 1, 2])
        free, ours, far = (
            guided_model.denoise(x, 0.6, labels, guidance_scale=scale).data for scale in (0.0, 1.0, 2.0)
        )
        np.testing.assert_allclose(far - ours, ours - free, rtol=1e-3, atol=1e-5)
        other = guided_model.denoise(x, 0.6, (labels + 1) % 3, guidance_scale=0.0).data
        np.testing.assert_array_equal(free, other)
        assert np.abs(ours - free).min() > 1e-4
        changed = guided_model.generate(3, key=key, condition=(labels + 1) % 3)
        assert np.abs(changed - guided_model.generate(3, key=key, condition=labels)).min() > 1e-4

    def test_latents(self, guided_model, key):
        """With many small steps, encoding and decoding come back to the start."""
        model = create_model(guided_model.config.replace(num_sampling_steps=400), key=key)
        x = 0.5 * jax.random.normal(key, (4, 2))
        labels = jnp.array([0, 1, 2, 0])
        np.testing.assert_allclose(model.reconstruct(x, labels), x, atol=0.02)


class TestSelfConditioning:
    """The network sees an estimate of its own."""

    config = FlowMatchingConfig(
        event_shape=(2,), network=SMALL, has_self_conditioning=True, num_sampling_steps=3
    )

    def test_two_passes(self, key):
        """The second sees the first's estimate, the first zeros."""
        model = create_model(self.config, key=key)
        x, t = jnp.array([[0.4, -0.8]]), jnp.float32(0.6)
        level = 1000.0 * (0.5 - 0.5 / 28.0 * model.path.log_snr(t))
        first = model.network(jnp.concatenate([x[0], jnp.zeros(2)]), level, None)
        data = x[0] - t * first  # of a velocity on the straight path
        second = model.network(jnp.concatenate([x[0], data]), level, None)
        np.testing.assert_allclose(model.denoise(x, t).data[0], x[0] - t * second, rtol=1e-5)

    def test_half_of_the_batches_stop_at_the_first(self, key):
        """Two values of the loss for one draw of the rest; no gradient reaches the first pass' weights alone."""
        model = create_model(self.config, key=key)
        x, t = jnp.array([0.4, -0.8]), jnp.float32(0.6)
        pair = [
            model._loss_one(x, x[::-1], None, t, jnp.asarray(second), key=key)["loss"]
            for second in (0 > 1, 1 > 0)
        ]
        assert pair[0] != pair[1]
        keys = jax.random.split(key, 40)
        coins = [bool(jax.random.bernoulli(jax.random.split(k, 3)[2])) for k in keys]
        assert 8 < sum(coins) < 32
        assert np.isfinite(model.generate(2, key=key)).all()


def test_spherical_interpolation(key):
    """Ends exactly, length kept, equal angles; also of equal vectors."""
    start = jnp.array([1.0, 0.0, 0.0])
    end = jnp.array([0.0, 1.0, 0.0])
    points = jax.vmap(lambda w: spherical_interpolation(start, end, w))(jnp.linspace(0, 1, 4))
    angles = np.arctan2(points[:, 1], points[:, 0])
    np.testing.assert_allclose(angles, np.pi / 2 * np.linspace(0, 1, 4), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(spherical_interpolation(start, start, jnp.float32(0.4)), start, rtol=1e-6)


def test_learns_a_mixture(key):
    """Two narrow Gaussians in the plane: weights, means and spreads of what is generated."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=(4096, 1), p=[0.25, 0.75])
    x = (signs * np.array([1.0, 0.5]) + 0.1 * rng.normal(size=(4096, 2))).astype(np.float32)
    model = create_model(
        FlowMatchingConfig(event_shape=(2,), network=MLPDenoiserConfig(hidden_size=64)), key=key
    )
    training = TrainingConfig(
        num_steps=1500, batch_size=256, optimizer=AdamConfig(learning_rate=3e-3), ema_decay=0.99
    )
    model = fit(model, x, training, key=jax.random.key(1), progress=False).model
    samples = np.asarray(model.generate(2000, key=jax.random.key(2)))
    right = samples[:, 0] > 0
    assert abs(right.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 2000) + 0.03
    for side, sign in ((right, 1.0), (~right, -1.0)):
        np.testing.assert_allclose(samples[side].mean(0), [sign, 0.5 * sign], atol=0.04)
        np.testing.assert_allclose(samples[side].std(0), 0.1, atol=0.03)


def test_wrong_use(guided_model, key):
    """Errors say what is required."""
    with pytest.raises(ValueError, match="guidance needs a conditional model"):
        FlowMatchingConfig(guidance_scale=2.0)
    with pytest.raises(ValueError, match="also learned without conditions"):
        FlowMatchingConfig(num_classes=3, guidance_scale=2.0)
    plain = create_model(FlowMatchingConfig(event_shape=(2,), network=SMALL), key=key)
    with pytest.raises(ValueError, match="needs a conditional model that also learned without"):
        plain.sample(1, key=key, guidance_scale=3.0)
    with pytest.raises(ValueError, match="`num_steps` must"):
        guided_model.sample(1, key=key, condition=0, num_steps=0)
    with pytest.raises(TypeError, match="num_steps"):
        guided_model.sample(1, key=key, condition=0, num_steps=2.5)
    with pytest.raises(ValueError, match=r"\[1, 1000\]"):
        guided_model.sample(1, key=key, condition=0, num_steps=2000, spacing=LeadingSpacingConfig())
    with pytest.raises(ValueError, match="class labels must lie in"):
        guided_model.generate(1, key=key, condition=7)


def test_denoising_leads_to_the_samples(guided_model):
    """Its last stop is `generate`'s, its first is noise of unit variance, all on the scale of data."""
    condition = jnp.arange(50) % 3
    stops = guided_model.denoising(50, key=jax.random.key(5), condition=condition, num_stops=3)
    assert stops.shape == (50, 3, 2)
    samples = guided_model.generate(50, key=jax.random.key(5), condition=condition)
    np.testing.assert_allclose(stops[:, -1], samples, rtol=1e-5, atol=1e-5)
    full = guided_model.sample(50, key=jax.random.key(5), condition=condition, keep_trajectory=True)
    middle = full.trajectory[:, 2] / np.hypot(0.5, 0.5)  # t = 1/2 of a straight line
    np.testing.assert_allclose(stops[:, 1], middle, rtol=1e-5)
    assert abs(float(np.std(stops[:, 0])) - 1.0) < 4 / np.sqrt(2 * 100)
