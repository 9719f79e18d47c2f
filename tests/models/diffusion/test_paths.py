"""Gaussian paths against float64 NumPy, their inverses, and the classical tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    LinearPathConfig,
    SigmoidPathConfig,
    SubVPPathConfig,
    TrigonometricPathConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.models.diffusion.paths import MAX_LOG_SNR, alphas_squared, make_path


def vp(t, low=0.1, high=20.0):
    return np.exp(-0.5 * (low * t + 0.5 * (high - low) * t**2))


def cosine(t, s=0.008):
    return np.cos((t + s) / (1 + s) * np.pi / 2) / np.cos(s / (1 + s) * np.pi / 2)


def sigmoid_share(t, start=-3.0, end=3.0, tau=0.9):
    s = lambda t: 1 / (1 + np.exp((start + (end - start) * t) / tau))  # noqa: E731
    return (s(t) - s(1.0)) / (s(0.0) - s(1.0))


# config, alpha, sigma: float64, from the papers' formulas, with no care for round-off
TABLE = {
    "vp": (VPPathConfig(), vp, lambda t: np.sqrt(1 - vp(t) ** 2)),
    "sub_vp": (SubVPPathConfig(), vp, lambda t: 1 - vp(t) ** 2),
    "cosine": (CosinePathConfig(), cosine, lambda t: np.sqrt(1 - cosine(t) ** 2)),
    "sigmoid": (
        SigmoidPathConfig(temperature=0.9),
        lambda t: np.sqrt(sigmoid_share(t)),
        lambda t: np.sqrt(1 - sigmoid_share(t)),
    ),
    "ve": (VEPathConfig(), lambda t: 1 + 0 * t, lambda t: 0.01 * np.sqrt(5000.0 ** (2 * t) - 1)),
    "edm": (EDMPathConfig(), lambda t: 1 + 0 * t, lambda t: 80.0 * t),
    "linear": (LinearPathConfig(), lambda t: 1 - t, lambda t: t),
    "trigonometric": (
        TrigonometricPathConfig(),
        lambda t: np.cos(np.pi / 2 * t),
        lambda t: np.sin(np.pi / 2 * t),
    ),
}
PATHS = {name: config for name, (config, _, _) in TABLE.items()} | {
    f"ddpm_{betas}": DDPMPathConfig(betas=betas) for betas in ("linear", "scaled_linear", "cosine")
}
INNER = np.concatenate([np.geomspace(1e-4, 0.1, 40), np.linspace(0.11, 0.99, 89)])


@pytest.mark.parametrize("name", TABLE)
def test_formulas(name):
    """alpha, sigma and log-SNR to float32 round-off; derivatives against central differences in float64."""
    config, alpha, sigma = TABLE[name]
    path = make_path(config)
    t = INNER.astype(np.float32).astype(np.float64)
    ours = jax.jit(lambda t: (path.alpha(t), path.sigma(t), path.log_snr(t), *path.derivatives(t)))(
        jnp.asarray(t, jnp.float32)
    )
    h = 1e-6 * t
    expected = (
        alpha(t),
        sigma(t),
        2 * np.log(alpha(t) / sigma(t)),
        (alpha(t + h) - alpha(t - h)) / (2 * h),
        (sigma(t + h) - sigma(t - h)) / (2 * h),
    )
    gates = (2e-6, 2e-6, 2e-6, 2e-4, 2e-4)  # the last two: error of the differences
    for got, want, gate in zip(ours, expected, gates, strict=True):
        np.testing.assert_allclose(got, want, rtol=gate, atol=gate)


@pytest.mark.parametrize("name", PATHS)
def test_ends_and_inverse(name):
    """Data at t = 0, noise at t = 1, all finite there; `time` inverts `log_snr`, which falls strictly."""
    path = make_path(PATHS[name])
    ends = jnp.array([0.0, 1.0])
    alpha, sigma, log_snr = path.alpha(ends), path.sigma(ends), path.log_snr(ends)
    assert alpha[0] == 1
    assert sigma[0] == 0
    assert sigma[1] > 20 * alpha[1]
    if name in ("linear", "trigonometric", "cosine", "sigmoid"):
        assert abs(alpha[1]) < 1e-7
        np.testing.assert_allclose(sigma[1], 1.0, rtol=1e-6)
    assert log_snr[0] == MAX_LOG_SNR
    assert -MAX_LOG_SNR <= log_snr[1] < -5
    assert np.isfinite(np.stack(path.derivatives(ends))).all()

    t = jnp.asarray(INNER, jnp.float32)
    log_snr = path.log_snr(t)
    assert (np.diff(log_snr) < 0).all()
    np.testing.assert_allclose(path.log_snr(path.time(log_snr)), log_snr, rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(path.time(log_snr), t, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "cosine"])
def test_ddpm_is_the_classical_table(betas):
    """alpha^2 at t = i / N is the cumulative product, computed here by a plain loop."""
    gate = 1e-5
    config = DDPMPathConfig(betas=betas, num_steps=1000)
    path, product = make_path(config), 1.0
    t = jnp.arange(1, 1001) / 1000
    alpha, sigma = np.asarray(path.alpha(t)), np.asarray(path.sigma(t))
    for i in range(1000):
        if betas == "linear":
            beta = 1e-4 + (0.02 - 1e-4) * i / 999
        elif betas == "scaled_linear":
            beta = (1e-4**0.5 + (0.02**0.5 - 1e-4**0.5) * i / 999) ** 2
        else:
            f = lambda t: np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2  # noqa: E731
            beta = min(1 - f((i + 1) / 1000) / f(i / 1000), 0.999)
        product *= 1 - beta
        assert abs(alpha[i] ** 2 / product - 1) < gate
        assert abs(sigma[i] ** 2 / (1 - product) - 1) < gate
    np.testing.assert_allclose(alphas_squared(config)[-1], product, rtol=1e-9)


def test_ddpm_approaches_the_continuous_path():
    """With beta / N per step, the table tends to VP with beta(t) as N grows, at the rate 1 / N."""
    t = jnp.linspace(0.1, 0.9, 9)
    continuous = make_path(VPPathConfig(beta_min=0.1, beta_max=20.0)).alpha(t)
    errors = []
    for n in (500, 1000, 2000):
        path = make_path(DDPMPathConfig(num_steps=n, beta_start=0.1 / n, beta_end=20.0 / n))
        errors.append(float(jnp.abs(path.alpha(t) - continuous).max()))
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    np.testing.assert_allclose(ratios, 2.0, rtol=0.05)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: VEPathConfig(sigma_min=50.0, sigma_max=0.01),
            "`sigma_max` must exceed `sigma_min`.*Swapped",
        ),
        (lambda: EDMPathConfig(sigma_min=2.0, sigma_max=2.0), "`sigma_max` must exceed"),
        (lambda: VPPathConfig(beta_min=3.0, beta_max=1.0), "`beta_max` must exceed"),
        (lambda: SigmoidPathConfig(start=1.0, end=0.0), "`end` must exceed `start`"),
        (lambda: DDPMPathConfig(beta_start=0.1, beta_end=0.01), "`beta_start` < `beta_end` < 1"),
        (lambda: DDPMPathConfig(num_steps=1), "at least 2"),
    ],
)
def test_wrong_configs(make, match):
    """Errors name the fields."""
    with pytest.raises(ValueError, match=match):
        make()
