"""A classifier of pictures, trained on the same data as a generative model, to judge what that makes.

Its features, the inputs of its last layer, are the space of `frechet_distance`; what it reads in a conditional
sample is compared with the class that was asked for. Features of one training run are one ruler: compare models in
those of the same classifier.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, Key, Num

from artifex.data import AbstractDataset, Dataset
from artifex.generative_models.core.configuration import (
    AdamWConfig,
    ImageClassifierConfig,
    TrainingConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.evaluation import Estimate, estimate_mean
from artifex.generative_models.core.models import checked_batch
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import check_key
from artifex.generative_models.modalities.image.representations import AbstractImageRepresentation, Symmetric
from artifex.generative_models.models.backbones import make_encoder
from artifex.generative_models.models.backbones.layers import linear
from artifex.generative_models.training import fit

CLASSIFIER_TRAINING = TrainingConfig(
    num_steps=1000,
    batch_size=128,
    optimizer=AdamWConfig(learning_rate=2e-3, weight_decay=0.05),
    schedule=WarmupCosineScheduleConfig(warmup_fraction=0.05),
    log_every=100,
)
"""The recipe, part of the definition of a distance in the features."""

_CHUNK = 500  # pictures at once


class ImageClassifier(eqx.Module):
    """Encoder, nonlinearity, and one affine map to logits; takes stored pictures, integers of shape (c, h, w)."""

    config: ImageClassifierConfig = eqx.field(static=True)
    encoder: Any
    out: eqx.nn.Linear

    def __init__(self, config: ImageClassifierConfig, *, key: Key[Array, ""]):
        """Random weights."""
        encoder_key, out_key = jax.random.split(key)
        self.config = config
        self.encoder = make_encoder(
            config.encoder, config.event_shape, out_size=config.num_features, key=encoder_key
        )
        self.out = linear(config.num_features, config.num_classes, key=out_key)

    def loss(
        self, x: Any, condition: Any, *, key: Key[Array, ""], step: int | Array | None = None
    ) -> LossOutput:
        """Cross-entropy in nats, and the accuracy.

        Args:
            x: batch of pictures as numbers in [-1, 1], shape `(batch, c, h, w)`.
            condition: their classes.
            key: not used: nothing is random.
            step: not used.
        """
        labels: Any
        x, labels = checked_batch(self.config, x, condition)
        logits = jax.vmap(self._logits_one)(x)
        total = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))
        accuracy = jnp.mean(jnp.argmax(logits, axis=1) == labels)
        return LossOutput(total=total, metrics={"loss": total, "accuracy": accuracy})

    def features(self, pictures: Num[Any, "n c h w"]) -> Float[np.ndarray, "n features"]:
        """Features of stored pictures."""
        return self._chunked(ImageClassifier._features_one, pictures)

    def log_probs(self, pictures: Num[Any, "n c h w"]) -> Float[np.ndarray, "n classes"]:
        """Log-probability of each class, for stored pictures."""
        return self._chunked(ImageClassifier._log_probs_one, pictures)

    def agreement(self, pictures: Num[Any, "n c h w"], labels: Integer[Any, " n"]) -> Estimate:
        """Part of stored pictures in which it reads these classes: its accuracy, on real ones."""
        read = np.argmax(self.log_probs(pictures), axis=1)
        return estimate_mean((read == np.asarray(labels)).astype(np.float64), what="agreement")

    def _features_one(self, x: Float[Array, "c h w"]) -> Float[Array, " features"]:
        return jax.nn.silu(self.encoder(x))

    def _logits_one(self, x: Float[Array, "c h w"]) -> Float[Array, " classes"]:
        return self.out(self._features_one(x))

    def _log_probs_one(self, x: Float[Array, "c h w"]) -> Float[Array, " classes"]:
        return jax.nn.log_softmax(self._logits_one(x))

    def _chunked(self, method: Any, pictures: Any) -> np.ndarray:
        if pictures.shape[1:] != self.config.event_shape or len(pictures) == 0:
            raise ValueError(
                f"pictures must have shape (n, {', '.join(map(str, self.config.event_shape))}); got {pictures.shape}"
            )
        if not np.issubdtype(pictures.dtype, np.integer):
            raise TypeError(
                f"pictures must be stored ones, integers, as `representation.decode` gives; got {pictures.dtype}"
            )
        chunk = min(_CHUNK, len(pictures))
        parts = []
        for start in range(0, len(pictures), chunk):
            rows = np.arange(start, start + chunk) % len(pictures)  # equal chunks: one compiled program
            parts.append(np.asarray(_apply(method, self, jnp.asarray(np.asarray(pictures)[rows]))))
        return np.concatenate(parts)[: len(pictures)]


@eqx.filter_jit
def _apply(method: Any, model: ImageClassifier, pictures: Array) -> Array:
    x = Symmetric(model.config.num_levels).encode(pictures)
    return jax.vmap(lambda x: method(model, x))(x)


def train_image_classifier(
    dataset: AbstractDataset,
    *,
    key: Key[Array, ""],
    training: TrainingConfig = CLASSIFIER_TRAINING,
    progress: bool = False,
) -> ImageClassifier:
    """A classifier of a data set of pictures with class labels, in whatever representation.

    Args:
        dataset: what it learns from; keep the pictures on which it judges out of it.
        key: weights and order.
        training: the recipe.
        progress: whether to show a progress bar.

    Raises:
        ValueError: the pictures have no labels.
        TypeError: the data set is not one of pictures.
    """
    check_key(key)
    representation = dataset.representation
    if not isinstance(representation, AbstractImageRepresentation):
        raise TypeError(f"the data set must be one of pictures; got {type(representation).__name__}")
    arrays = dataset.rows(np.arange(len(dataset)))
    labels = arrays.get("condition")
    if labels is None or not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise ValueError(
            "the pictures must have class labels: load them with `conditional: true`"
            f"; got {'none' if labels is None else f'{labels.dtype} of shape {labels.shape}'}"
        )
    config = ImageClassifierConfig(
        event_shape=tuple(arrays["x"].shape[1:]),
        num_classes=int(labels.max()) + 1,
        num_levels=representation.num_levels,
    )
    model_key, fit_key = jax.random.split(key)
    pictures = Dataset(arrays, Symmetric(representation.num_levels))
    batch_size = min(training.batch_size, len(pictures))
    return fit(
        ImageClassifier(config, key=model_key),
        pictures,
        training.replace(batch_size=batch_size),
        key=fit_key,
        progress=progress,
    ).model
