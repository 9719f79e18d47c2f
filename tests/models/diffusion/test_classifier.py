"""The classifier of noisy examples: what it learns, and that it guides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AdamConfig,
    FlowMatchingConfig,
    MLPDenoiserConfig,
    ModelConfig,
    NoisyClassifierConfig,
    TrainingConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.core.sampling import ClassifierGuidance
from artifex.generative_models.factory import create_model, load_model, save_model
from artifex.generative_models.training import fit

SMALL = MLPDenoiserConfig(hidden_size=16, num_layers=1)
CONFIG = NoisyClassifierConfig(event_shape=(1,), num_classes=2, network=SMALL)


@pytest.fixture(scope="module")
def classifier():
    """Trained on two normal classes of spread 0.5, around -1 and 1, one three times as frequent."""
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=4096) < 0.75).astype(np.int32)
    x = (2 * labels - 1 + 0.5 * rng.normal(size=4096)).astype(np.float32)[:, None]
    training = TrainingConfig(num_steps=400, batch_size=256, optimizer=AdamConfig(learning_rate=1e-2))
    data = {"x": x, "condition": labels}
    return fit(
        create_model(CONFIG, key=jax.random.key(0)), data, training, key=jax.random.key(1), progress=False
    ).model


def test_learns_bayes_rule(classifier):
    """Log p(1 | x_t) - log p(0 | x_t) of normal classes is linear: log 3 + 2 alpha x / (alpha^2 / 4 + sigma^2)."""
    x = jnp.linspace(-1.5, 1.5, 7)[:, None]
    for t in (0.1, 0.5, 0.9):
        logits = np.asarray(classifier.logits(x, t))
        exact = np.log(3) + 2 * (1 - t) * x[:, 0] / ((1 - t) ** 2 / 4 + t**2)
        ours, expected = (1 / (1 + np.exp(-value)) for value in (logits[:, 1] - logits[:, 0], exact))
        np.testing.assert_allclose(ours, expected, atol=0.08)


def test_loss(classifier, key):
    """The mean of -log p, and the part that is right, which is that of the classes without noise at most."""
    x, labels = jnp.array([[1.0], [-1.0]] * 500), jnp.array([1, 0] * 500)
    output = classifier.loss(x, labels, key=key)
    assert 0.6 < output.metrics["accuracy"] < 0.99
    assert output.total == output.metrics["loss"]
    one = classifier(x[0], jnp.float32(0.3), labels[0])
    np.testing.assert_allclose(one, jax.nn.log_softmax(classifier.logits(x[:1], 0.3)[0])[1], rtol=1e-5)


def test_guides_a_model(classifier, key):
    """Samples go to the class that is asked for."""
    model = create_model(FlowMatchingConfig(event_shape=(1,), network=SMALL, num_sampling_steps=5), key=key)
    control, labels = ClassifierGuidance(classifier, scale=2.0), jnp.array([0, 1] * 20)
    x = np.asarray(model.sample(40, key=key, control=control, target=labels).x)
    same = np.asarray(model.sample(40, key=key).x)
    assert (x[::2] < same[::2]).mean() > 0.9 and (x[1::2] > same[1::2]).mean() > 0.9


def test_files_and_wrong_use(classifier, key, tmp_path):
    """Config and weights come back; errors say what is required."""
    assert from_yaml(ModelConfig, to_yaml(CONFIG)) == CONFIG
    save_model(tmp_path / "classifier.safetensors", classifier)
    loaded = load_model(tmp_path / "classifier.safetensors")
    x = jnp.ones((2, 1))
    np.testing.assert_array_equal(loaded.logits(x, 0.5), classifier.logits(x, 0.5))
    with pytest.raises(ValueError, match="`num_classes` must be at least 2"):
        NoisyClassifierConfig(num_classes=1)
    with pytest.raises(ValueError, match=r"`t` must lie in \[0, 1\]"):
        classifier.logits(x, 2.0)
    with pytest.raises(ValueError, match="`x` must have shape"):
        classifier.logits(jnp.ones((2, 2)), 0.5)
    with pytest.raises(ValueError, match=r"class labels must lie in \[0, 2\)"):
        classifier.loss(x, jnp.array([0, 2]), key=key)
