"""Evaluation of pictures: each metric against a model for which it is known."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import Dataset
from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    BoundConfig,
    DDPMConfig,
    DDPMPathConfig,
    DiscretizedLogisticConfig,
    FlowMatchingConfig,
    LikelihoodConfig,
    MaskedDiffusionConfig,
    MLPDenoiserConfig,
    ModelConfig,
    NormalConfig,
    TokenMLPConfig,
    config,
)
from artifex.generative_models.core.evaluation import Evaluation, code_perplexity, estimate_mean
from artifex.generative_models.core.models import AbstractLatentModel
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.factory import create_model
from artifex.generative_models.modalities import evaluate
from artifex.generative_models.modalities.image import (
    Dequantized,
    Discrete,
    DynamicBinarized,
    Logit,
    Symmetric,
    ThresholdBinarized,
    UnitInterval,
)

SHAPE = (1, 3, 4)
GREY = np.random.default_rng(0).integers(0, 256, (10, *SHAPE)).astype(np.uint8)


@config("evaluation_test_known")
class KnownConfig(ModelConfig):
    """A model of which all metrics are known."""

    event_shape: tuple[int, ...] = SHAPE
    likelihood: LikelihoodConfig = BernoulliConfig()


@config("evaluation_test_plain")
class PlainConfig(ModelConfig):
    """The same without a likelihood."""

    event_shape: tuple[int, ...] = SHAPE


class Known(AbstractLatentModel):
    """Latents are the entries; `log_prob` of an entry is given, bounds are noisy around it."""

    config: ModelConfig
    log_prob_entry: object
    factor: float = 1.0
    num_codes: ClassVar[int] = 256

    def _generate_one(self, condition, *, key):
        return jnp.zeros(SHAPE)

    def _loss_batch(self, x, condition, *, key, step):
        return LossOutput(jnp.zeros(()), {})

    def _encode_one(self, x, condition, *, key):
        return jnp.clip(jnp.round(x * 255), 0, 255).astype(jnp.int32)

    def _decode_one(self, z, condition):
        return self.factor * z / 255

    def _interpolate_one(self, start, end, weight, condition):
        return start

    def elbo(self, x, condition=None, *, key):
        keys = example_keys(key, x.shape[0])
        return self._log_prob(x) - 1.0 + 0.01 * jax.vmap(jax.random.normal)(keys)

    def importance_weighted_bound(self, x, condition=None, *, key, num_samples):
        return self._log_prob(x) - 1.0 / num_samples

    def _log_prob(self, x):
        return jnp.sum(self.log_prob_entry(x), axis=(1, 2, 3))


class Generator:
    """A model that only generates."""

    config = PlainConfig()

    def generate(self, n_samples, *, key, condition=None):
        return jnp.zeros((n_samples, *SHAPE))

    def loss(self, x, condition=None, *, key, step=None):
        return LossOutput(jnp.zeros(()), {})


def known(likelihood, log_prob_entry=jnp.zeros_like, **options):
    return Known(KnownConfig(likelihood=likelihood), log_prob_entry, **options)


def logit_of_uniform(x):
    """Density of logit(alpha + (1 - 2 alpha) u) for uniform u, alpha = 0.05."""
    p = jax.nn.sigmoid(x)
    return jnp.log(p) + jnp.log1p(-p) - jnp.log(0.9)


@pytest.mark.parametrize(
    ("representation", "likelihood", "log_prob", "bits"),
    [
        (UnitInterval(256), DiscretizedLogisticConfig(), lambda x: jnp.full_like(x, -np.log(256)), 8.0),
        (Symmetric(256), DiscretizedLogisticConfig(low=-1.0), lambda x: jnp.full_like(x, -np.log(256)), 8.0),
        (Dequantized(256), NormalConfig(), jnp.zeros_like, 8.0),
        (Logit(256, 0.05), NormalConfig(), logit_of_uniform, 8.0),
        (DynamicBinarized(256), BernoulliConfig(), lambda x: jnp.full_like(x, -np.log(2)), 1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bits_of_a_uniform_model(representation, likelihood, log_prob, bits, key):
    """A uniform distribution over L levels costs log2(L) bits, in whatever form a model sees them."""
    found = evaluate(
        known(likelihood, log_prob),
        Dataset(GREY, representation),
        key=key,
        metrics=["bits_per_dimension", "importance_weighted_bound"],
        num_importance_samples=10**6,
        batch_size=4,
    )
    assert list(found) == ["importance_weighted_bound_1000000", "bits_per_dimension"]
    assert found["bits_per_dimension"] == pytest.approx(bits, abs=1e-4)
    assert found.estimates["bits_per_dimension"].num_examples == 10


def test_values_errors_and_counts(key):
    """Means and standard errors by hand; a last batch that is not full counts each picture once."""
    data = Dataset(GREY, UnitInterval(256))
    model = known(DiscretizedLogisticConfig(), lambda x: -x, factor=0.5)
    found = evaluate(model, data, key=key, batch_size=4, num_importance_samples=2)
    pixels = GREY.reshape(10, -1) / 255.0
    bound = -pixels.sum(axis=1) - 0.5
    name = "importance_weighted_bound_2"
    assert found[name] == pytest.approx(bound.mean(), rel=1e-5)
    assert found.estimates[name].standard_error == pytest.approx(bound.std(ddof=1) / np.sqrt(10), rel=1e-4)
    assert found["elbo"] == pytest.approx(bound.mean() - 0.5, abs=0.02)
    assert found["bits_per_dimension"] == pytest.approx(-bound.mean() / 12 / np.log(2), rel=1e-5)
    error = np.mean((np.round(GREY * 0.5) / 255.0 - GREY / 255.0) ** 2)
    assert found["reconstruction_mse"] == pytest.approx(error, rel=2e-2)
    frequencies = np.bincount(GREY.reshape(-1), minlength=256) / GREY.size
    entropy = -np.sum(frequencies[frequencies > 0] * np.log(frequencies[frequencies > 0]))
    assert found["codebook_perplexity"] == pytest.approx(np.exp(entropy), rel=1e-6)
    assert all(estimate.num_examples == 10 for estimate in found.estimates.values())
    assert found.unavailable == {"log_prob": "the model has no log p(x)"}


def test_metrics_do_not_depend_on_the_batch_size(key):
    """Up to the noise of the bound, which has keys by batch."""
    data = Dataset(GREY, UnitInterval(256))
    model = known(DiscretizedLogisticConfig(), lambda x: -x, factor=0.7)
    names = ["importance_weighted_bound", "bits_per_dimension", "reconstruction_mse", "codebook_perplexity"]
    whole, parts = (evaluate(model, data, key=key, metrics=names, batch_size=size) for size in (100, 3))
    for name in whole:
        assert whole[name] == pytest.approx(parts[name], rel=1e-6)


def test_max_examples_is_a_random_subset(key):
    """Another key, other pictures: files are often sorted by class."""
    data = Dataset(GREY, UnitInterval(256))
    model = known(DiscretizedLogisticConfig(), lambda x: -x)

    def mean(key):
        return evaluate(model, data, key=key, metrics=["importance_weighted_bound"], max_examples=3)

    assert mean(key).estimates["importance_weighted_bound_64"].num_examples == 3
    assert len({mean(jax.random.key(seed))["importance_weighted_bound_64"] for seed in range(5)}) > 1


def test_reconstruction_of_a_perfect_model_is_exact(key):
    """Against what the model saw: also for black and white."""
    for representation in (UnitInterval(256), ThresholdBinarized(256)):
        model = known(BernoulliConfig())
        found = evaluate(model, Dataset(GREY, representation), key=key, metrics=["reconstruction_mse"])
        assert found["reconstruction_mse"] == 0.0


@pytest.mark.parametrize(
    ("representation", "likelihood", "reason"),
    [
        (
            UnitInterval(256),
            BernoulliConfig(),
            "a bernoulli likelihood is one of black and white pixels, but UnitI",
        ),
        (
            UnitInterval(256),
            NormalConfig(),
            "a normal likelihood is one of real numbers, but UnitInterval gives equally",
        ),
        (
            Dequantized(256),
            DiscretizedLogisticConfig(),
            "equally spaced levels, but Dequantized gives real numbers",
        ),
        (
            UnitInterval(17),
            DiscretizedLogisticConfig(),
            "256 levels from 0.0 to 1.0, but the data have 17 from 0.0",
        ),
        (
            Symmetric(256),
            DiscretizedLogisticConfig(),
            "from 0.0 to 1.0, but the data have 256 from -1.0 to 1.0",
        ),
    ],
)
def test_bits_that_would_mean_nothing(representation, likelihood, reason, key):
    """Left out with the reason, or an error where they are asked for."""
    data = Dataset(GREY.astype(int) % representation.num_levels, representation)
    model = known(likelihood)
    found = evaluate(model, data, key=key)
    assert "bits_per_dimension" not in found
    assert reason in found.unavailable["bits_per_dimension"]
    with pytest.raises(ValueError, match="bits_per_dimension cannot be computed for Known") as caught:
        evaluate(model, data, key=key, metrics=["bits_per_dimension"])
    assert reason in str(caught.value)


class Density(Generator):
    """A model with a density: that of a uniform distribution on [0, 1], seen through a logit."""

    log_prob_kind: ClassVar[str] = "exact"

    def log_prob(self, x, *, condition=None, key=None):
        return jnp.sum(logit_of_uniform(x), axis=(1, 2, 3))


def test_bits_of_a_density(key):
    """Of the stored data, exactly; densities of levels are none, and the reason says what gives one."""
    found = evaluate(Density(), Dataset(GREY, Logit(256, 0.05)), key=key)
    assert list(found) == ["log_prob", "bits_per_dimension"]
    assert found["bits_per_dimension"] == pytest.approx(8.0, abs=1e-4)
    with pytest.raises(ValueError, match=r"Symmetric gives equally spaced levels.*`logit` give real numbers"):
        evaluate(Density(), Dataset(GREY, Symmetric(256)), key=key, metrics=["bits_per_dimension"])


def test_costly_metrics_are_asked_for_by_name(key):
    """Likelihood and inverse of a diffusion model, an ODE for each example, are left out unless they are wanted."""
    config = FlowMatchingConfig(
        event_shape=SHAPE, network=MLPDenoiserConfig(hidden_size=8, num_layers=1), num_sampling_steps=3
    )
    model, data = create_model(config, key=key), Dataset(GREY, Dequantized(256))
    found = evaluate(model, data, key=key)
    assert list(found) == []
    assert found.unavailable["reconstruction_mse"].startswith("it solves an ODE twice for each example")
    for name in ("log_prob", "bits_per_dimension"):
        assert found.unavailable[name] == "it solves an ODE for each example: ask for it by name"
    found = evaluate(model, data, key=key, metrics=["bits_per_dimension", "log_prob"], max_examples=4)
    bits = -(found["log_prob"] - 12 * np.log(256)) / 12 / np.log(2)
    assert found["bits_per_dimension"] == pytest.approx(bits, rel=1e-5)
    assert found.estimates["log_prob"].num_examples == 4
    assert (
        evaluate(model, data, key=key, metrics=["reconstruction_mse"], max_examples=4)["reconstruction_mse"]
        < 0.1
    )


def test_bound_of_a_diffusion_model(key):
    """ELBO and bits where the model's levels are the data's; the reason says whose levels are which."""
    bound = BoundConfig(num_levels=256)
    network = MLPDenoiserConfig(hidden_size=8, num_layers=1)
    path = DDPMPathConfig(num_steps=20, beta_end=0.5)
    config = DDPMConfig(event_shape=SHAPE, network=network, num_sampling_steps=3, path=path, bound=bound)
    model = create_model(config, key=key)
    found = evaluate(model, Dataset(GREY, Symmetric(256)), key=key)
    assert found["bits_per_dimension"] == pytest.approx(-found["elbo"] / 12 / np.log(2), rel=1e-5)
    found = evaluate(model, Dataset(GREY, UnitInterval(256)), key=key)
    reason = "the bound has 256 levels from -1.0 to 1.0, but the data have 256 from 0.0 to 1.0"
    assert reason == found.unavailable["elbo"] == found.unavailable["bits_per_dimension"]
    found = evaluate(model, Dataset(GREY, ThresholdBinarized(256)), key=key)
    assert "`unit_interval` and `symmetric` give levels" in found.unavailable["bits_per_dimension"]


def test_what_a_model_cannot_give(key):
    data = Dataset(GREY, Discrete(256))
    with pytest.raises(
        ValueError, match=r"elbo cannot be computed for Generator: the model has no lower bound"
    ):
        evaluate(Generator(), data, key=key, metrics=["elbo"])
    nothing = evaluate(Generator(), data, key=key)
    assert dict(nothing) == {}
    assert nothing.unavailable["reconstruction_mse"] == "the model does not reconstruct"
    plain = Known(PlainConfig(), jnp.zeros_like)
    with pytest.raises(ValueError, match="does not say which likelihood"):
        evaluate(plain, data, key=key, metrics=["bits_per_dimension"])


def test_bad_requests(key):
    data, model = Dataset(GREY, UnitInterval(256)), known(DiscretizedLogisticConfig())
    with pytest.raises(LookupError, match=r"unknown metric 'elb'. Did you mean 'elbo'\?"):
        evaluate(model, data, key=key, metrics=["elb"])
    for options in ({"batch_size": 0}, {"num_importance_samples": 0}, {"max_examples": 0}, {"metrics": []}):
        with pytest.raises(ValueError, match="at least"):
            evaluate(model, data, key=key, **options)
    with pytest.raises(TypeError, match="Identity, belongs to no modality"):
        evaluate(model, Dataset(GREY), key=key)
    with pytest.raises(TypeError):
        evaluate(model, GREY, key=key)


def test_tokens(key):
    """A model to which all values are alike takes log2 of their number for each pixel, of integers alone."""
    grey = Dataset(GREY % 5, Discrete(5))
    model = create_model(
        MaskedDiffusionConfig(event_shape=SHAPE, vocab_size=5, network=TokenMLPConfig(hidden_size=8)), key=key
    )
    found = evaluate(model, grey, key=key)
    assert set(found) == {"elbo", "bits_per_dimension"}
    assert found["elbo"] == pytest.approx(-12 * np.log(5), rel=1e-5)
    assert found["bits_per_dimension"] == pytest.approx(np.log2(5), rel=1e-5)
    assert "is a lower bound" in found.unavailable["log_prob"]
    with pytest.raises(ValueError, match=r"bound is one of integers, but UnitInterval gives .* `discrete`"):
        evaluate(model, Dataset(GREY % 5, UnitInterval(5)), key=key, metrics=["bits_per_dimension"])


def test_metrics_that_are_not_finite(key):
    """NaN is never averaged away."""
    model = known(DiscretizedLogisticConfig(), lambda x: jnp.where(x == x.max(), jnp.nan, x))
    with pytest.raises(
        FloatingPointError, match=r"elbo is not finite for 1 of 10 examples; the first is number"
    ):
        evaluate(model, Dataset(GREY, UnitInterval(256)), key=key, metrics=["elbo"])


def test_evaluation_as_plain_values():
    """A mapping of numbers, with the rest beside it; JSON can hold it."""
    import json

    found = Evaluation({"elbo": estimate_mean(np.array([1.0, 3.0])), "one": estimate_mean(np.array([2.0]))})
    assert dict(found) == {"elbo": 2.0, "one": 2.0}
    assert json.loads(json.dumps(found.to_mapping()))["elbo"] == {
        "value": 2.0,
        "standard_error": 1.0,
        "num_examples": 2,
    }
    assert found.estimates["one"].standard_error is None
    assert str(found) == "elbo  2 +- 1\none   2"
    with pytest.raises(ValueError, match="at least one example"):
        estimate_mean(np.array([]))


def test_code_perplexity():
    """1 for one code, all for equal use; its standard error against the spread over simulated sets."""
    assert code_perplexity(np.full((5, 1, 4), 3), 8).value == 1.0
    every = np.tile(np.arange(8), (5, 1, 1))
    assert code_perplexity(every, 8).value == pytest.approx(8.0)
    assert code_perplexity(np.concatenate([every, 0 * every], axis=1), 8).value == pytest.approx(4.5)
    generator = np.random.default_rng(0)
    sets = generator.choice(6, (400, 300, 1, 5), p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
    estimates = [code_perplexity(codes, 6) for codes in sets]
    spread = np.std([estimate.value for estimate in estimates], ddof=1)
    # 400 sets know their spread to 3.5 %; gate at 4 standard errors.
    assert np.mean([estimate.standard_error for estimate in estimates]) == pytest.approx(spread, rel=0.14)
    with pytest.raises(ValueError, match=r"\[0, 3\); got 0 to 3"):
        code_perplexity(np.arange(4)[None, None], 3)
