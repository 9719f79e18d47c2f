"""Everything that a training run carries from step to step."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key, PyTree

from artifex.generative_models.core.random import check_key
from artifex.generative_models.core.trainable import partition_trainable


class TrainState(eqx.Module):
    """State of a training run, one immutable PyTree.

    Attributes:
        model: the model that is trained, buffers included.
        opt_state: the optimizer's state, for the trainable leaves.
        ema: moving average of the trainable leaves (a copy, never an alias of them), or None.
        step: updates made so far.
        key: randomness of the run; step `i` uses `fold_in(key, i)`.
    """

    model: Any
    opt_state: PyTree[Array]
    ema: Any
    step: Int[Array, ""]
    key: Key[Array, ""]

    @property
    def trained_model(self) -> Any:
        """The model to use: with averaged parameters where the run keeps an average."""
        if self.ema is None:
            return self.model
        _, rest = partition_trainable(self.model)
        return eqx.combine(self.ema, rest)


def init_state(
    model: Any, optimizer: optax.GradientTransformation, *, key: Key[Array, ""], use_ema: bool = False
) -> TrainState:
    """State before the first step. It shares no array with `model`, so that the compiled step may reuse its memory.

    Args:
        model: the model to train.
        optimizer: sees the trainable leaves only.
        key: randomness of the run.
        use_ema: whether to keep a moving average of the parameters.
    """
    check_key(key)
    model = jax.tree.map(_copy, model)
    trainable, _ = partition_trainable(model)
    return TrainState(
        model=model,
        opt_state=optimizer.init(trainable),
        ema=jax.tree.map(_copy, trainable) if use_ema else None,
        step=jnp.zeros((), jnp.int32),
        key=_copy(key),
    )


def _copy(leaf: Any) -> Any:
    return jnp.array(leaf, copy=True) if eqx.is_array(leaf) else leaf
