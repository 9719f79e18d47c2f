"""Abstract bases of all models: the maths sees one example, the batch axis and `jit` stand here.

A family's class is final: it fills in the private one-example methods. The public methods check shapes, give every
example a key of its own, vmap, and compile once for each shape.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.compilation import compiled
from artifex.generative_models.core.configuration import ModelConfig
from artifex.generative_models.core.finite import check_finite
from artifex.generative_models.core.pretraining import check_has_pretrained
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import check_key, example_keys


class AbstractGenerativeModel(eqx.Module):
    """A model that can be trained and sampled. Conditions, where a model takes them, have a batch axis too."""

    config: eqx.AbstractVar[ModelConfig]

    @abc.abstractmethod
    def _generate_one(self, condition: PyTree[Array] | None, *, key: Key[Array, ""]) -> PyTree[Array]:
        """One new example."""

    @abc.abstractmethod
    def _loss_batch(
        self, x: PyTree[Array], condition: PyTree[Array] | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        """The loss on a batch; `mean_loss` makes it from a loss of one example."""

    def generate(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        chunk_size: int | None = None,
    ) -> PyTree[Array]:
        """New examples.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`, so it does not depend on `n_samples` or the chunks.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            chunk_size: at most so many samples at once, where all together would not fit in memory.

        Returns:
            Examples with a leading axis of length `n_samples`.

        Raises:
            FloatingPointError: an example is not finite, which inside of a trace is not checked.
        """
        return generate_examples(
            type(self)._generate_one, self, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )

    def loss(
        self,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
        step: int | Array | None = None,
    ) -> LossOutput:
        """What training minimises, averaged over a batch.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the loss.
            step: training step, for weights that change during training; None: as at the end of training.
        """
        check_key(key)
        check_has_pretrained(self)
        x, condition = checked_batch(self.config, x, condition)
        last = jnp.iinfo(jnp.int32).max
        return _loss(self, x, condition, key, jnp.asarray(last if step is None else step, jnp.int32))


class AbstractDensityModel(AbstractGenerativeModel):
    """A model that also says how probable examples are."""

    log_prob_kind: eqx.AbstractClassVar[str]

    @abc.abstractmethod
    def _log_prob_one(
        self, x: PyTree[Array], condition: PyTree[Array] | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        """Log-density of one example, in nats."""

    def log_prob(
        self,
        x: Arrays,
        *,
        condition: Arrays | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, " batch"]:
        """Log-density (log-probability for discrete data) of each example, in nats.

        `log_prob_kind` says whether it is exact, a lower bound or an estimate; the latter two need a key.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of a bound or an estimate.
        """
        if key is None and self.log_prob_kind != "exact":
            raise ValueError(f"log_prob of {type(self).__name__} is a {self.log_prob_kind}: it needs `key`")
        return map_examples(type(self)._log_prob_one, self, x, condition, key)


class AbstractLatentModel(AbstractGenerativeModel):
    """A model that also maps examples to latent variables and back."""

    @abc.abstractmethod
    def _encode_one(
        self, x: PyTree[Array], condition: PyTree[Array] | None, *, key: Key[Array, ""] | None
    ) -> PyTree[Array]:
        """Latents of one example: a posterior sample with a key, the posterior's centre without."""

    @abc.abstractmethod
    def _decode_one(self, z: PyTree[Array], condition: PyTree[Array] | None) -> PyTree[Array]:
        """Mean of the examples that latents stand for."""

    @abc.abstractmethod
    def _interpolate_one(
        self,
        start: PyTree[Array],
        end: PyTree[Array],
        weight: Float[Array, ""],
        condition: PyTree[Array] | None,
    ) -> PyTree[Array]:
        """The example at `weight` in [0, 1] on the way from `start` to `end` through latent space."""

    def encode(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""] | None = None
    ) -> PyTree[Array]:
        """Latents of a batch of examples: posterior samples with a key, the posteriors' centres without."""
        return map_examples(type(self)._encode_one, self, x, condition, key)

    def decode(self, z: Arrays, condition: Arrays | None = None) -> PyTree[Array]:
        """Means of the examples that a batch of latents stands for, shape `(batch, *event_shape)`."""
        check_has_pretrained(self)
        z = jax.tree.map(jnp.asarray, z)
        return _decode(self, z, conditions_for(self.config, condition, _batch_size(z)))

    def reconstruct(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""] | None = None
    ) -> PyTree[Array]:
        """Encode, then decode; shape of `x`."""
        return map_examples(_reconstruct_one, self, x, condition, key)

    def interpolate(
        self,
        start: Arrays,
        end: Arrays,
        num_steps: int,
        condition: Arrays | None = None,
    ) -> PyTree[Array]:
        """Examples on the way from `start` to `end` through latent space, both ends included.

        Args:
            start: batch of examples.
            end: as many examples.
            num_steps: number of points on the way, at least 2.
            condition: batch of conditions, for a conditional model.

        Returns:
            Shape `(batch, num_steps, *event_shape)`.
        """
        if num_steps < 2:
            raise ValueError(f"`num_steps` counts both ends, so at least 2; got {num_steps}")
        check_has_pretrained(self)
        start, condition = checked_batch(self.config, start, condition)
        end, _ = checked_batch(self.config, end, condition)
        if _batch_size(start) != _batch_size(end):
            raise ValueError(
                f"`start` and `end` differ in length: {_batch_size(start)} and {_batch_size(end)}"
            )
        return _interpolate(self, start, end, jnp.linspace(0.0, 1.0, num_steps), condition)


def mean_loss(
    loss_one: Callable[..., tuple[Float[Array, ""], dict[str, Float[Array, ""]]]],
    x: PyTree[Array],
    condition: PyTree[Array] | None,
    *,
    key: Key[Array, ""],
) -> LossOutput:
    """Average over a batch of `loss_one(x, condition, key=...) -> (total, metrics)`."""
    keys = example_keys(key, _batch_size(x))
    totals, metrics = jax.vmap(lambda x, condition, key: loss_one(x, condition, key=key))(x, condition, keys)
    return LossOutput(total=jnp.mean(totals), metrics=jax.tree.map(jnp.mean, metrics))


def map_examples(
    method: Callable[..., PyTree[Array]],
    model: AbstractGenerativeModel,
    x: Arrays,
    condition: Arrays | None,
    key: Key[Array, ""] | None,
    **options: Any,
) -> PyTree[Array]:
    """Check a batch and run `method(model, x, condition, key=..., **options)` on each example, compiled once.

    Args:
        method: a function of a module or a class: the same object in every call, or each call compiles again.
        model: the model.
        x: batch of examples, shape `(batch, *event_shape)`.
        condition: batch of conditions, or None.
        key: one key, split by example; None: `method` gets None.
        options: static arguments; each new value compiles once.
    """
    check_has_pretrained(model)
    x, condition = checked_batch(model.config, x, condition)
    if key is not None:
        check_key(key)
    return _map_examples(method, model, x, condition, key, options)


def generate_examples(
    method: Callable[..., PyTree[Array]],
    model: Any,
    n_samples: int,
    *,
    key: Key[Array, ""],
    condition: Arrays | None,
    chunk_size: int | None,
    inputs: tuple[PyTree[Array], ...] = (),
) -> PyTree[Array]:
    """Run `method(model, condition, *inputs, key=...)` for each of `n_samples` new examples, compiled once.

    Args:
        method: a function of a module or a class: the same object in every call, or each call compiles again.
        model: the model, or a module that has its `config` and holds what `method` needs.
        n_samples: how many.
        key: sample `i` gets `fold_in(key, i)`.
        condition: one for each sample, or a single one for all; None for an unconditional model.
        chunk_size: at most so many samples at once; None: all.
        inputs: further arrays of the examples, each with a leading axis of length `n_samples`.

    Raises:
        FloatingPointError: an example is not finite; inside of a trace that is not checked.
    """
    check_key(key)
    check_has_pretrained(model)
    for name, size in (("n_samples", n_samples), ("chunk_size", chunk_size)):
        if size is None and name == "chunk_size":
            continue
        if not isinstance(size, int | np.integer):
            raise TypeError(f"`{name}` must be an integer; got {size!r}")
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1; got {size}")
    condition = conditions_for(model.config, condition, n_samples)
    chunk = n_samples if chunk_size is None else min(chunk_size, n_samples)
    parts = [
        _generate(method, model, key, numbers, *_taken((condition, inputs), numbers, n_samples))
        for numbers in _chunks(n_samples, chunk)
    ]
    made = parts[0]
    if len(parts) > 1:
        made = jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:n_samples], *parts)
    check_finite(made, what=type(getattr(model, "model", model)).__name__)
    return made


def checked_batch(
    config: ModelConfig, x: Arrays, condition: Arrays | None
) -> tuple[PyTree[Array], PyTree[Array] | None]:
    """A batch and its conditions as JAX arrays.

    Raises:
        ValueError: the shape is not `(batch, *event_shape)`, the batch is empty, or the conditions do not fit.
        TypeError: it is no array.
    """
    if isinstance(x, Mapping) and "x" in x:
        raise TypeError(
            "`x` must be examples alone; got a whole batch: give batch['x'], batch.get('condition')"
        )
    if not jax.tree.leaves(x) or isinstance(x, str | bytes):
        raise TypeError(f"`x` must be an array of examples; got {x!r}")
    if not hasattr(x, "shape") and isinstance(x, list | tuple | int | float):
        x = jnp.asarray(x)
    if hasattr(x, "shape"):
        x = jnp.asarray(x)
        if x.shape[1:] != config.event_shape or x.ndim == 0:
            raise ValueError(
                f"`x` must have shape (batch, {', '.join(map(str, config.event_shape))}); got {x.shape}."
                + (" Add a batch axis: x[None]." if x.shape == config.event_shape else "")
            )
    if _batch_size(x) == 0:
        raise ValueError("`x` is an empty batch")
    return x, conditions_for(config, condition, _batch_size(x))


def conditions_for(config: ModelConfig, condition: Arrays | None, num: int) -> PyTree[Array] | None:
    """Conditions of `num` examples as a JAX array; a single one is repeated.

    Raises:
        ValueError: a condition is missing, or given to an unconditional model, or of another shape.
        TypeError: labels are not integers.
    """
    if config.condition_size == 0:
        if condition is not None:
            raise ValueError(
                "the model is unconditional, so it takes no `condition`; "
                "set `num_classes` or `condition_shape` in its config to make it conditional"
            )
        return None
    if condition is None:
        wanted = "class labels" if config.num_classes else f"arrays of shape {config.condition_shape}"
        raise ValueError(f"the model is conditional: `condition` must hold {wanted}, one for each example")
    array = jnp.asarray(condition)
    shape = () if config.condition_shape is None else config.condition_shape
    if config.num_classes is not None:
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise TypeError(f"class labels are integers in [0, {config.num_classes}); got {array.dtype}")
        _check_labels(array, config.num_classes)
    if array.shape == shape:
        array = jnp.broadcast_to(array, (num, *shape))
    if array.shape != (num, *shape):
        raise ValueError(f"`condition` must have shape {(num, *shape)} or {shape}; got {array.shape}")
    return array


def _check_labels(labels: Array, num_classes: int) -> None:
    """Values are checked where they are known; inside a trace they are the data pipeline's responsibility."""
    if isinstance(labels, jax.core.Tracer) or labels.size == 0:
        return
    values = np.asarray(labels)  # NumPy, because inside `jit` even known JAX arrays turn into tracers
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"class labels must lie in [0, {num_classes}); got values from {low} to {high}")


def _batch_size(tree: Arrays) -> int:
    return jax.tree.leaves(tree)[0].shape[0]


def _chunks(num: int, chunk: int) -> list[np.ndarray]:
    """Numbers 0, ..., num - 1 in parts of equal length, the last filled up from the front: all share one program."""
    return list((np.arange(-(-num // chunk) * chunk, dtype=np.int32) % num).reshape(-1, chunk))


def _taken(tree: PyTree[Array], numbers: np.ndarray, num: int) -> PyTree[Array]:
    """Those of `num` entries that have the given numbers."""
    return tree if len(numbers) == num else jax.tree.map(lambda leaf: leaf[numbers], tree)


@compiled
def _generate(method, model, key, numbers, condition, inputs):
    # The keys are made here, as `example_keys` makes them: outside they take as long as many a model.
    def one(number, condition, inputs):
        return method(model, condition, *inputs, key=jax.random.fold_in(key, number))

    return jax.vmap(one)(numbers, condition, inputs)


@compiled
def _loss(model, x, condition, key, step):
    return model._loss_batch(x, condition, key=key, step=step)


@compiled
def _map_examples(method, model, x, condition, key, options):
    if key is None:
        return jax.vmap(lambda x, condition: method(model, x, condition, key=None, **options))(x, condition)
    keys = example_keys(key, _batch_size(x))
    return jax.vmap(lambda x, condition, key: method(model, x, condition, key=key, **options))(
        x, condition, keys
    )


@compiled
def _decode(model, z, condition):
    return jax.vmap(model._decode_one)(z, condition)


def _reconstruct_one(model, x, condition, *, key):
    return model._decode_one(model._encode_one(x, condition, key=key), condition)


@compiled
def _interpolate(model, start, end, weights, condition):
    def path(start, end, condition):
        return jax.vmap(lambda weight: model._interpolate_one(start, end, weight, condition))(weights)

    return jax.vmap(path)(start, end, condition)
