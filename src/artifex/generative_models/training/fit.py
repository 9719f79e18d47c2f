"""`fit`: the driver of a training run."""

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Key

from artifex.data import AbstractBatches, as_batches, as_dataset
from artifex.generative_models.core.configuration import (
    ModelConfig,
    TrainingConfig,
    first_difference,
    to_mapping,
)
from artifex.generative_models.core.examples import check_examples
from artifex.generative_models.core.pretraining import check_has_pretrained
from artifex.generative_models.core.protocols import InitializesFromData, Trainable
from artifex.generative_models.core.random import check_key
from artifex.generative_models.core.representations import Identity
from artifex.generative_models.scaling import check_batch_size, make_mesh, place
from artifex.generative_models.training.callbacks import Checkpointing, EarlyStopping, Progress, Validation
from artifex.generative_models.training.checkpointing import CheckpointStore
from artifex.generative_models.training.events import (
    Advanced,
    Callback,
    Ended,
    Event,
    Logged,
    Reached,
    Started,
)
from artifex.generative_models.training.interrupts import InterruptedTrainingError, SignalWatch
from artifex.generative_models.training.logs import MetricLog
from artifex.generative_models.training.optimizers import learning_rate_schedule, make_optimizer
from artifex.generative_models.training.state import TrainState, init_state
from artifex.generative_models.training.step import CompiledTrainStep, make_train_step

CHECKPOINTS = "checkpoints"
_IN_FLIGHT = 2  # dispatched calls whose metrics have not been fetched: enough to keep the device busy


class NonFiniteError(FloatingPointError):
    """The loss or its gradient became NaN or infinite.

    Attributes:
        step: the first such step; the parameters are those before it.
    """

    def __init__(self, step: int, loss: float):
        self.step = step
        what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
        super().__init__(
            f"at step {step} {what}; training stopped with the parameters before it. Look at the data, lower the "
            "learning rate, set `gradient_clip_norm`, or skip such steps with `nonfinite: skip`."
        )


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What a training run leaves.

    Attributes:
        model: the trained model, with averaged parameters where the run kept an average.
        state: the whole state, from which training could go on.
        records: logged metrics, oldest first.
        reason: `finished`, or why a callback stopped the run.
        num_traces: how often the training step was traced.
    """

    model: Any
    state: TrainState
    records: Sequence[Mapping[str, Any]]
    reason: str
    num_traces: int


def fit(
    model: Any,
    data: Any,
    config: TrainingConfig,
    *,
    key: Key[Array, ""],
    run_dir: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    validation: Any = None,
    progress: bool = True,
) -> FitResult:
    """Train a model.

    A new model that `InitializesFromData` is set by the batch of the first step, before it.

    With a run folder, the run resumes by itself from the newest whole checkpoint there, and a run that was killed
    and resumed ends with bit for bit the parameters of one that was not.

    Args:
        model: any generative model, or another module with such a `loss`; it is not changed.
        data: a `Dataset`, a NumPy or JAX array of examples, a mapping with `x` and maybe `condition`, or an
            iterable of batches in one of these forms; None for a loss that makes its own examples, such as that of
            `ReverseKL`.
        config: how to train.
        key: the order of the data and all other randomness.
        run_dir: where metrics and checkpoints go; None: nowhere.
        callbacks: called during the run, after those that `config` asks for.
        validation: held-out data in the form of `data`; without it, nothing is validated.
        progress: whether to show a progress bar.

    Raises:
        NonFiniteError: the loss or its gradient is not finite and `config.nonfinite` is `stop`.
        InterruptedTrainingError: Ctrl-C or SIGTERM; the state has been saved.
        ValueError: the run folder holds a run of another config; data, model, batch size and devices do not fit;
            `config` asks for early stopping and there is no validation data; or a part of the model is to be trained
            first.
    """
    check_key(key)
    _check_types(model, config)
    if data is None and getattr(model, "needs_data", True):
        raise ValueError(f"`data` is None, but {type(model).__name__} learns from examples: give them")
    if config.early_stopping_patience is not None and validation is None:
        raise ValueError("`early_stopping_patience` needs validation data: give `validation`")
    data_key, state_key, validation_key = jax.random.split(key, 3)
    mesh = make_mesh(config.mesh)
    check_batch_size(mesh, config.batch_size)
    batches = as_batches(data, config.batch_size, seed=_seed(data_key))
    _check_values(model, batches, batches.resident)
    optimizer = make_optimizer(config)

    def first_state(model: Any) -> TrainState:
        return init_state(model, optimizer, key=state_key, use_ema=config.ema_decay is not None)

    state = first_state(model)
    step = make_train_step(
        state,
        optimizer,
        mesh=mesh,
        rules=config.mesh.rules,
        prepare=batches.prepare,
        ema_decay=config.ema_decay,
        precision=config.precision,
        accumulate_steps=config.accumulate_steps,
        nonfinite=config.nonfinite,
    )
    own: list[Callback] = [Progress()] if progress and jax.process_index() == 0 else []
    if validation is not None and config.validate_every is not None:
        own.append(
            Validation(
                as_dataset(validation),
                every=config.validate_every,
                batch_size=config.batch_size,
                key=validation_key,
            )
        )
    if config.early_stopping_patience is not None:
        own.append(EarlyStopping(config.early_stopping_patience))
    last = [Checkpointing(config.checkpoint_every)] if run_dir is not None else []
    run = _Run(step.place(state), first_state, step, batches, config, run_dir, [*own, *callbacks, *last])
    with SignalWatch() as signals:
        reason = run.train(signals)
    return FitResult(run.model, run.state, run.records, reason, step.num_traces)


class _Run:
    """The mutable side of `fit`: counts, logs, saves."""

    def __init__(
        self,
        state: TrainState,
        first_state: Callable[[Any], TrainState],
        compiled: CompiledTrainStep,
        batches: Any,
        config: TrainingConfig,
        run_dir: str | Path | None,
        callbacks: Sequence[Callback],
    ):
        self.config = config
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.state = state
        self.step = 0
        self._compiled = compiled
        self._first_state = first_state
        self._batches = batches
        self._callbacks = callbacks
        self._stop_reason: str | None = None
        self._store: CheckpointStore | None = None
        self._saved_at: int | None = None
        self._resident = jax.tree.map(lambda leaf: place(leaf, compiled.replicated), batches.resident)
        if self.run_dir is not None:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            self._store = CheckpointStore(self.run_dir / CHECKPOINTS, keep=config.keep_checkpoints)
            self._resume()
        self._log = MetricLog(self.run_dir if jax.process_index() == 0 else None, first_step=self.step)
        self._learning_rate = jax.jit(learning_rate_schedule(config))

    @property
    def model(self) -> Any:
        """A copy, because the next step reuses the state's memory."""
        return jax.tree.map(
            lambda leaf: leaf.copy() if eqx.is_array(leaf) else leaf, self.state.trained_model
        )

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        return self._log.records

    def log(self, split: str, metrics: Mapping[str, float]) -> None:
        self._log.write(self.step, split, metrics)
        self._tell(Logged(self.step, split, metrics))

    def stop(self, reason: str) -> None:
        self._stop_reason = reason

    def save(self) -> None:
        if self._store is None or self._saved_at == self.step:
            return
        extra = {**self._identity(), "batches": self._batches.state()}
        self._store.save(self.step, eqx.filter(self.state, eqx.is_array), extra)
        self._saved_at = self.step

    def train(self, signals: SignalWatch) -> str:
        reason = "failed"
        try:
            self._tell(Started(self.step))
            self._loop(signals)
            reason = "interrupted" if signals.received else self._stop_reason or "finished"
        finally:
            # Even a run that fails tells its callbacks, so that bars close and files are whole.
            try:
                self._tell(Ended(self.step, reason))
            finally:
                self._log.close()
        if signals.received:
            raise InterruptedTrainingError(self.step, self.config.num_steps, signals.received)
        return reason

    def _loop(self, signals: SignalWatch) -> None:
        config = self.config
        periods = [config.log_every, *(callback.every for callback in self._callbacks if callback.every)]
        length = _even_part(min(config.num_steps, *periods), config.steps_per_dispatch)
        waiting: deque[tuple[int, int, Any]] = deque()
        window: list[dict[str, np.ndarray]] = []
        while self.step < config.num_steps and not signals.received and self._stop_reason is None:
            # Every event falls on the end of a call.
            until_event = (period - self.step % period for period in periods)
            num = _even_part(min(config.num_steps - self.step, *until_event), length)
            items = self._batches.take(num)
            _check_values(self.state.model, self._batches, items)
            items = self._on_mesh(_lengthened(items, length))
            self._initialize(items)
            self.state, metrics = self._compiled.run(
                self.state, items, self.step, resident=self._resident, num_steps=num
            )
            waiting.append((self.step, num, metrics))
            self.step += num
            self._tell(Advanced(self.step))
            at_event = self.step == config.num_steps or any(self.step % period == 0 for period in periods)
            while waiting and (at_event or len(waiting) > _IN_FLIGHT):
                window.append(self._fetch(*waiting.popleft()))
            if self.step % config.log_every == 0 or self.step == config.num_steps:
                self.log("train", self._summary(window))
                window = []
            for callback in self._callbacks:
                if callback.every and self.step % callback.every == 0:
                    callback(self, Reached(self.step))
        while waiting:
            self._fetch(*waiting.popleft())

    def _initialize(self, items: Any) -> None:
        """Before the first step, a model that takes its first parameters from data gets the batch of that step."""
        model = self.state.model
        if self.step == 0 and isinstance(model, InitializesFromData) and model.starts_from_data:
            self.state = self._compiled.initialized(
                self.state, items, self._first_state, resident=self._resident
            )

    def _on_mesh(self, items: Any) -> Any:
        """Host arrays as the compiled step takes them; in a run of several processes as global arrays."""
        if jax.process_count() == 1:
            return items
        sharding = self._compiled.items_sharding
        if self._batches.is_per_process:
            return jax.tree.map(lambda a: jax.make_array_from_process_local_data(sharding, a), items)
        return jax.tree.map(lambda a: place(a, sharding), items)

    def _fetch(self, start: int, num: int, metrics: Any) -> dict[str, np.ndarray]:
        """Metrics of one call on the host; a step that was not finite ends the run here, if it shall."""
        fetched = {name: column[:num] for name, column in jax.device_get(metrics).items()}
        bad = np.flatnonzero(fetched["finite"] == 0)
        if bad.size and self.config.nonfinite == "stop":
            self.step = start + int(bad[0])
            raise NonFiniteError(self.step, float(fetched["loss"][bad[0]]))
        return fetched

    def _summary(self, window: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
        """Means over the steps since the last record, without those that were skipped."""
        columns = {name: np.concatenate([metrics[name] for metrics in window]) for name in window[0]}
        finite = columns.pop("finite") > 0
        nothing = not finite.any()
        means = {name: float("nan") if nothing else float(c[finite].mean()) for name, c in columns.items()}
        rate = float(self._learning_rate(np.int32(self.step - 1)))
        return {**means, "learning_rate": rate, "skipped": float((~finite).sum())}

    def _tell(self, event: Event) -> None:
        for callback in self._callbacks:
            callback(self, event)

    def _identity(self) -> dict[str, Any]:
        return {"model": to_mapping(self.state.model.config), "training": to_mapping(self.config)}

    def _resume(self) -> None:
        store = self._store
        if store is None or not store.steps():
            return
        like = eqx.filter(self.state, eqx.is_array)
        newest = store.extra()
        theirs = {part: newest[part] for part in ("model", "training")}
        if difference := first_difference(self._identity(), theirs):
            raise ValueError(
                f"{self.run_dir} holds a run of another config: {difference}. Use another run folder, or the "
                "config of that run."
            )
        arrays, extra, self.step = store.restore(like)
        self.state = eqx.combine(arrays, eqx.filter(self.state, eqx.is_array, inverse=True))
        self._batches.restore(extra["batches"])
        self._saved_at = self.step


def _check_types(model: Any, config: Any) -> None:
    """What is easily confused: configs and what is made from them."""
    if not isinstance(model, Trainable):
        raise TypeError(
            f"`model` must have a `loss`, as every model has; got {type(model).__name__}. "
            "`create_model(config, key=key)` makes one from its config."
        )
    if not isinstance(config, TrainingConfig):
        raise TypeError(
            f"`config` must be a TrainingConfig, such as `experiment.training`; got {type(config).__name__}"
        )
    check_has_pretrained(model)


def _check_values(model: Any, batches: AbstractBatches, arrays: Any) -> None:
    """Look at examples where they are arrays whose values are known: resident ones once, others as they come."""
    config = getattr(model, "config", None)
    if isinstance(arrays, Mapping) and isinstance(config, ModelConfig):
        # Otherwise the compiled step alone has the model's form.
        is_raw = isinstance(batches.representation, Identity)
        check_examples(config, {k: v for k, v in arrays.items() if is_raw or k == "condition"})


def _even_part(total: int, limit: int) -> int:
    """The largest part of a number that is cut as evenly as can be into as few parts of at most `limit` as can be."""
    return math.ceil(total / math.ceil(total / limit))


def _lengthened(items: Any, length: int) -> Any:
    """As many entries as every call takes, so that all run the same program; those at the end are not used."""
    num = jax.tree.leaves(items)[0].shape[0]
    return (
        items if num == length else jax.tree.map(lambda a: a[np.minimum(np.arange(length), num - 1)], items)
    )


def _seed(key: Key[Array, ""]) -> int:
    return int(jax.random.randint(key, (), 0, np.iinfo(np.int32).max))
