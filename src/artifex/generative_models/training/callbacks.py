"""The callbacks that come with the library."""

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from artifex.generative_models.training.events import Advanced, Ended, Event, Logged, Reached, Run, Started


class Progress:
    """A progress bar with loss, steps per second and time left: a widget in notebooks, otherwise on stderr."""

    every: int | None = None

    def __init__(self, label: str | None = None) -> None:
        """Args:
        label: what stands before the bar.
        """
        self._label = label
        self._bar: Any = None
        self._shown: dict[str, str] = {}

    def __call__(self, run: Run, event: Event) -> None:
        """Follow the run."""
        match event:
            case Started(step):
                self._bar = _bar_class()(
                    desc=self._label,
                    total=run.config.num_steps,
                    initial=step,
                    unit="step",
                    file=sys.stderr,
                    mininterval=0.2,
                    smoothing=0.1,
                )
            case Logged(_, split, metrics):
                name = "loss" if split == "train" else f"{split} loss"
                self._shown[name] = f"{metrics['loss']:.4g}"
                self._bar.set_postfix(self._shown, refresh=False)
            case Advanced(step):
                self._bar.update(step - self._bar.n)
            case Ended(step, _):
                self._bar.update(step - self._bar.n)
                self._bar.close()


def _bar_class() -> type:
    """The bar of `tqdm` for where we are. Its own choice warns in notebooks that lack ipywidgets; ours is text."""
    if importlib.util.find_spec("ipywidgets") is None:
        from tqdm.std import tqdm
    else:
        from tqdm.auto import tqdm
    return tqdm


class Checkpointing:
    """Saves the state every so many steps and at the end, also at an interrupted one."""

    def __init__(self, every: int | None):
        self.every = every

    def __call__(self, run: Run, event: Event) -> None:
        """Save when asked."""
        match event:
            case Reached():
                run.save()
            case Ended(_, reason) if reason != "failed":
                run.save()


class Validation:
    """Logs the mean loss over held-out examples, with the same key each time, so that the values compare."""

    def __init__(self, dataset: Any, *, every: int | None, batch_size: int, key: Key[Array, ""]):
        """Args:
        dataset: a `Dataset`, whose examples are all used, in order.
        every: steps between validations; None: at the end only.
        batch_size: examples at once.
        key: randomness of the loss.
        """
        self.every = every
        self._dataset = dataset
        self._batch_size = batch_size
        self._key = key
        self._done_at: int | None = None

    def __call__(self, run: Run, event: Event) -> None:
        """Validate when asked."""
        match event:
            case Started(step):
                # The checkpoint that a run goes on from was written after the validation of its step.
                self._done_at = step if step and self.every and step % self.every == 0 else None
            case Reached(step):
                self._validate(run, step)
            case Ended(step, "finished") if step != self._done_at:
                self._validate(run, step)

    def _validate(self, run: Run, step: int) -> None:
        run.log("validation", mean_metrics(run.model, self._batches(), key=self._key))
        self._done_at = step

    def _batches(self) -> Iterator[dict[str, Any]]:
        return self._dataset.epoch(self._batch_size, key=jax.random.fold_in(self._key, 0))


class EarlyStopping:
    """Stops a run whose validation loss has not become lower for a while."""

    every: int | None = None

    def __init__(self, patience: int, *, metric: str = "loss", min_change: float = 0.0):
        """Args:
        patience: validations without a better value before the run stops.
        metric: which validation metric; lower is better.
        min_change: a value is better if it is lower by more than this.
        """
        self._patience = patience
        self._metric = metric
        self._min_change = min_change
        self._best = math.inf
        self._waited = 0

    def __call__(self, run: Run, event: Event) -> None:
        """Watch the validation metrics, those of before a break included."""
        match event:
            case Started():
                for record in run.records:
                    if record["split"] == "validation":
                        self._watch(run, record[self._metric])
            case Logged(_, "validation", metrics):
                self._watch(run, metrics[self._metric])

    def _watch(self, run: Run, value: float | None) -> None:
        if value is not None and value < self._best - self._min_change:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= self._patience:
            run.stop(f"no validation {self._metric} below {self._best:.4g} in {self._waited} checks")


class Samples:
    """Hands samples of the model to a function every so many steps, from the same key each time."""

    def __init__(
        self,
        use: Callable[[Array, int], None],
        *,
        every: int | None,
        n_samples: int = 64,
        key: Key[Array, ""],
        condition: Any = None,
    ):
        """Args:
        use: called as `use(samples, step)`, for example to write a picture.
        every: steps between samples.
        n_samples: how many.
        key: randomness of the samples.
        condition: conditions of the samples, for a conditional model.
        """
        self.every = every
        self._use = use
        self._n_samples = n_samples
        self._key = key
        self._condition = condition

    def __call__(self, run: Run, event: Event) -> None:
        """Sample when asked."""
        match event:
            case Reached(step):
                self._use(run.model.generate(self._n_samples, key=self._key, condition=self._condition), step)


def mean_metrics(model: Any, batches: Iterator[dict[str, Any]], *, key: Key[Array, ""]) -> dict[str, float]:
    """Metrics of a model's loss, averaged over batches with the number of examples as weight.

    Args:
        model: any generative model.
        batches: mappings of `x` and maybe `condition`.
        key: batch `i` uses `fold_in(key, i)`.
    """
    total, count = None, 0
    for index, batch in enumerate(batches):
        size = jax.tree.leaves(batch["x"])[0].shape[0]
        metrics = _metrics(model, batch, jax.random.fold_in(key, index))
        weighted = jax.tree.map(lambda metric, size=size: metric * size, metrics)
        total = weighted if total is None else jax.tree.map(jnp.add, total, weighted)
        count += size
    if total is None:
        raise ValueError("there are no batches to average over")
    return {name: float(value) / count for name, value in total.items()}


@eqx.filter_jit
def _metrics(model: Any, batch: dict[str, Any], key: Key[Array, ""]) -> dict[str, Array]:
    output = model.loss(**batch, key=key)
    return {**output.metrics, "loss": output.total}
