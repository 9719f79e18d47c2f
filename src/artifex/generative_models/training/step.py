"""The training step: one pure function for every family, compiled once over a mesh of devices.

    gradient      g = d loss(model, batch, key_i, i) / d trainable leaves,   key_i = step_keys(key, i).loss
    update        optimizer
    buffers       from `LossOutput.model`
    average       ema <- d ema + (1 - d) parameters,   d = min(ema_decay, (1 + i) / (10 + i))

A step whose loss or gradient is not finite changes nothing. What happens then is the driver's choice: with
`skip` the count goes on with the next batch; with `stop` the count stands still, and so does every later step.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Key, PyTree

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.compilation import compiler_options
from artifex.generative_models.core.configuration import ShardingRuleConfig
from artifex.generative_models.core.precision import Precision, cast_parameters
from artifex.generative_models.core.trainable import partition_trainable, take_buffers
from artifex.generative_models.scaling import batch_sharding, check_rules, place, replicated, tree_shardings
from artifex.generative_models.training.state import TrainState

Metrics = dict[str, Float[Array, "..."]]


def step_keys(state: TrainState) -> tuple[Key[Array, ""], Key[Array, ""]]:
    """Keys of the loss, and of the data's randomness (such as dynamic binarization), at the state's step."""
    loss_key, data_key = jax.random.split(jax.random.fold_in(state.key, state.step))
    return loss_key, data_key


def train_step(
    state: TrainState,
    batch: Mapping[str, Arrays],
    *,
    optimizer: optax.GradientTransformation,
    ema_decay: float | None = None,
    precision: Precision = "float32",
    accumulate_steps: int = 1,
    nonfinite: Literal["stop", "skip"] = "stop",
    running: bool | Bool[Array, ""] = True,
) -> tuple[TrainState, Metrics]:
    """One update of the parameters; pure.

    Args:
        state: the run so far.
        batch: arguments of `model.loss`: `x` and maybe `condition`, each with a leading batch axis.
        optimizer: the one whose state `state` holds.
        ema_decay: decay of the parameters' moving average, if the state holds one.
        precision: type in which the networks compute.
        accumulate_steps: the batch is worked off in so many equal parts.
        nonfinite: after a loss or gradient that is not finite, `stop` keeps the count, `skip` advances it.
        running: False: nothing moves, as after a stop.

    Returns:
        The new state, and metrics of this step: those of the loss, `grad_norm`, and `finite`: 1, or 0 where the
            parameters stayed as they were.
    """
    key, _ = step_keys(state)
    batch = jax.tree.map(jnp.asarray, dict(batch))
    gradient, model, metrics = _gradient(state, batch, key, precision, accumulate_steps)
    norm = optax.tree.norm(gradient)
    finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss"])

    trainable, _ = partition_trainable(state.model)
    updates, opt_state = optimizer.update(gradient, state.opt_state, trainable)
    trainable = eqx.apply_updates(trainable, updates)
    _, rest = partition_trainable(model)
    new = TrainState(
        model=eqx.combine(trainable, rest),
        opt_state=opt_state,
        ema=_average(state.ema, trainable, state.step, ema_decay),
        step=state.step,
        key=state.key,
    )
    moves = finite & running
    new = _select(moves, new, state)
    advance = moves if nonfinite == "stop" else running
    new = eqx.tree_at(lambda s: s.step, new, state.step + jnp.asarray(advance, jnp.int32))
    return new, {**metrics, "grad_norm": norm, "finite": jnp.asarray(moves, jnp.float32)}


def _gradient(
    state: TrainState, batch: Any, key: Key[Array, ""], precision: Precision, accumulate_steps: int
) -> tuple[Any, Any, Metrics]:
    """Gradient of the trainable leaves, the model with new buffers, and metrics, over the whole batch."""

    def objective(trainable: Any, model: Any, part: Any, key: Key[Array, ""]) -> Any:
        _, rest = partition_trainable(model)
        model = eqx.combine(cast_parameters(trainable, precision), rest)
        output = model.loss(**part, key=key, step=state.step)
        metrics = {**output.metrics, "loss": output.total}
        return output.total, (output.model, jax.tree.map(lambda m: m.astype(jnp.float32), metrics))

    trainable, _ = partition_trainable(state.model)
    grad = jax.grad(objective, has_aux=True)
    if accumulate_steps == 1:
        gradient, (new, metrics) = grad(trainable, state.model, batch, key)
        return gradient, take_buffers(state.model, new), metrics

    arrays, static = eqx.partition(state.model, eqx.is_array)

    def accumulate(carry: Any, part_and_index: Any) -> Any:
        total, arrays = carry
        part, index = part_and_index
        model = eqx.combine(arrays, static)
        gradient, (new, metrics) = grad(trainable, model, part, jax.random.fold_in(key, index))
        arrays, _ = eqx.partition(take_buffers(model, new), eqx.is_array)
        return (jax.tree.map(jnp.add, total, gradient), arrays), metrics

    zeros = jax.tree.map(jnp.zeros_like, trainable)
    parts = jax.tree.map(lambda leaf: _split(leaf, accumulate_steps), batch)
    (total, arrays), metrics = jax.lax.scan(
        accumulate, (zeros, arrays), (parts, jnp.arange(accumulate_steps))
    )
    gradient = jax.tree.map(lambda leaf: leaf / accumulate_steps, total)
    return gradient, eqx.combine(arrays, static), jax.tree.map(jnp.mean, metrics)


def _split(leaf: Array, num: int) -> Array:
    """(batch, ...) to (num, batch / num, ...) such that each part takes equally from every device's share."""
    return jnp.moveaxis(leaf.reshape(leaf.shape[0] // num, num, *leaf.shape[1:]), 1, 0)


def _average(ema: Any, trainable: Any, step: Array, decay: float | None) -> Any:
    if ema is None or decay is None:
        return ema
    count = step.astype(jnp.float32)
    d = jnp.minimum(
        decay, (1.0 + count) / (10.0 + count)
    )  # short memory at first: no trace of the random start
    return jax.tree.map(
        lambda average, leaf: average + (1.0 - d).astype(leaf.dtype) * (leaf - average), ema, trainable
    )


def _select(condition: Bool[Array, ""], new: Any, old: Any) -> Any:
    def choose(new: Any, old: Any) -> Any:
        return jnp.where(condition, new, old) if eqx.is_array(new) and new is not old else new

    return jax.tree.map(choose, new, old)


class CompiledTrainStep:
    """`train_step` over a mesh, compiled once, its state donated: after a call the old state is gone.

    Attributes:
        mesh: the devices.
        replicated: sharding of an array that every device holds whole.
        items_sharding: sharding of the `items` of `run`: split along their second axis.
        num_traces: how often the program has been traced: once for each length of `items`.
    """

    def __init__(
        self,
        state: TrainState,
        step: Callable[..., tuple[TrainState, Metrics]],
        mesh: jax.sharding.Mesh,
        prepare: Callable[..., dict[str, PyTree[Array]]],
        rules: Sequence[ShardingRuleConfig],
    ):
        self.mesh = mesh
        self.num_traces = 0
        self._prepare = prepare
        arrays = eqx.filter(state, eqx.is_array)
        check_rules(arrays, rules)
        self._shardings = jax.tree.leaves(tree_shardings(mesh, arrays, rules))
        self.replicated = whole = replicated(mesh)
        self.items_sharding = items = batch_sharding(mesh, axis=1)
        leaves, self._structure = jax.tree.flatten(state)
        self._is_array = [eqx.is_array(leaf) for leaf in leaves]
        self._static_leaves = [leaf for leaf in leaves if not eqx.is_array(leaf)]

        # Traced once, though its results' shapes are needed before the loop.
        @jax.jit
        def one(arrays: list[Array], resident: Any, item: Any, due: Array) -> tuple[list[Array], Metrics]:
            state = self._join(arrays)
            _, data_key = step_keys(state)
            batch = prepare(resident, item, key=data_key)
            # After a stop the count has fallen behind the data, and nothing may move any more.
            new, metrics = step(state, batch, running=state.step == due)
            return self._arrays(new), metrics

        # The program takes and gives a flat list: walking over a model of many layers takes the host longer than
        # the dispatch itself.
        def run(
            arrays: list[Array], resident: Any, items: Any, start: Array, num_steps: Array
        ) -> tuple[list[Array], Metrics]:
            self.num_traces += 1

            def take(offset: Any) -> Any:
                return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, offset, 0, False), items)

            def body(offset: Array, carry: tuple[list[Array], Metrics]) -> tuple[list[Array], Metrics]:
                arrays, columns = carry
                arrays, metrics = one(arrays, resident, take(offset), start + offset)
                put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=offset, axis=0)
                return arrays, jax.tree.map(put, columns, metrics)

            length = jax.tree.leaves(items)[0].shape[0]
            _, metrics = jax.eval_shape(one, arrays, resident, take(0), start)
            columns = jax.tree.map(lambda value: jnp.zeros((length, *value.shape), value.dtype), metrics)
            return jax.lax.fori_loop(0, num_steps, body, (arrays, columns))

        self._run = jax.jit(
            run,
            donate_argnums=0,
            in_shardings=(self._shardings, whole, items, whole, whole),
            out_shardings=(self._shardings, whole),
            compiler_options=compiler_options(mesh.devices.flat[0].platform),
        )

    def _arrays(self, state: TrainState) -> list[Array]:
        leaves = jax.tree.leaves(state)
        return [leaf for leaf, is_array in zip(leaves, self._is_array, strict=True) if is_array]

    def _join(self, arrays: Sequence[Array]) -> TrainState:
        of_state, static = iter(arrays), iter(self._static_leaves)
        leaves = [next(of_state) if is_array else next(static) for is_array in self._is_array]
        return jax.tree.unflatten(self._structure, leaves)

    def place(self, state: TrainState) -> TrainState:
        """The state with its arrays where the compiled step wants them."""
        return self._join(place(self._arrays(state), self._shardings))

    def initialized(
        self, state: TrainState, items: Any, restart: Callable[[Any], TrainState], *, resident: Any = ()
    ) -> TrainState:
        """A first state whose model is set by the batch of the first step.

        Args:
            state: before the first step, with a model that `InitializesFromData`; donated.
            items: as of `run`.
            restart: from the model to a first state.
            resident: as of `run`.
        """

        def run(arrays: list[Array], resident: Any, items: Any) -> list[Array]:
            state = self._join(arrays)
            loss_key, data_key = step_keys(state)
            batch = self._prepare(resident, jax.tree.map(lambda leaf: leaf[0], items), key=data_key)
            return self._arrays(restart(state.model.initialized(**batch, key=loss_key)))

        whole = self.replicated
        run = jax.jit(
            run,
            donate_argnums=0,
            in_shardings=(self._shardings, whole, self.items_sharding),
            out_shardings=self._shardings,
        )
        return self._join(run(self._arrays(state), resident, items))

    def __call__(self, state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        """One step on one batch, shape `(batch, ...)`."""
        start = int(state.step)
        state, metrics = self.run(state, jax.tree.map(lambda leaf: leaf[None], batch), start)
        return state, jax.tree.map(lambda leaf: leaf[0], metrics)

    def run(
        self, state: TrainState, items: Any, start: int, *, resident: Any = (), num_steps: int | None = None
    ) -> tuple[TrainState, Metrics]:
        """Several steps in one call of the compiled program.

        Args:
            state: the run so far; donated.
            items: what `prepare` makes batches from, shape `(length, batch, ...)`.
            start: the step at which `items` begin; a state that has stopped before it stays as it is.
            resident: arrays on the devices that `prepare` takes from.
            num_steps: so many, with the first of `items`; None: as many as there are. Compiled once for all numbers.

        Returns:
            The new state, and the metrics of each step, as many as `items`, with zeros after `num_steps`.
        """
        length: int = jax.tree.leaves(items)[0].shape[0]
        num_steps = length if num_steps is None else num_steps
        if not 1 <= num_steps <= length:
            raise ValueError(f"`num_steps` must lie in 1 to {length}, the number of `items`; got {num_steps}")
        arrays, metrics = self._run(
            self._arrays(state), resident, items, np.int32(start), np.int32(num_steps)
        )
        return self._join(arrays), metrics

    def lower(self, state: TrainState, items: Any, *, resident: Any = ()) -> jax.stages.Lowered:
        """The program before compilation, for memory and cost analysis."""
        return self._run.lower(self._arrays(state), resident, items, np.int32(0), np.int32(1))


def _batch_itself(resident: Any, item: Any, *, key: Key[Array, ""]) -> Any:
    return item


def make_train_step(
    state: TrainState,
    optimizer: optax.GradientTransformation,
    *,
    mesh: jax.sharding.Mesh,
    rules: Sequence[ShardingRuleConfig] = (),
    prepare: Callable[..., dict[str, PyTree[Array]]] = _batch_itself,
    **options: Any,
) -> CompiledTrainStep:
    """Compile `train_step` for states like `state`.

        step = make_train_step(state, optimizer, mesh=mesh)
        state = step.place(state)
        state, metrics = step(state, {"x": x})

    Args:
        state: an example of the state; it is not changed.
        optimizer: the one whose state `state` holds.
        mesh: devices, with axes `data`, `fsdp` and `tensor`; one device is a mesh of one.
        rules: which arrays to split over which axes, by path; the rest by size.
        prepare: `prepare(resident, item, key=...)` makes a batch of an entry of `items`, inside the program.
        options: further arguments of `train_step`.
    """

    def step(state: TrainState, batch: Any, *, running: Bool[Array, ""]) -> tuple[TrainState, Metrics]:
        return train_step(state, batch, optimizer=optimizer, running=running, **options)

    return CompiledTrainStep(state, step, mesh, prepare, rules)
