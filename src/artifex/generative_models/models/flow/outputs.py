"""Flows layer by layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.models import conditions_for
from artifex.generative_models.models.backbones.bijections import layer_outputs
from artifex.generative_models.models.flow.model import NormalizingFlow


def flow_states(
    flow: NormalizingFlow, z: Arrays, condition: Arrays | None = None
) -> Float[Array, "batch states size"]:
    """Latents, and what leaves each layer of a flow on the way to examples, which are the last.

    >>> from artifex.generative_models.core.configuration import NSFConfig
    >>> flow = NormalizingFlow(NSFConfig(event_shape=(2,), num_layers=3), key=jax.random.key(0))
    >>> flow_states(flow, jnp.zeros((5, 2))).shape
    (5, 4, 2)

    Args:
        flow: any.
        z: latents, shape `(batch, size)`.
        condition: their conditions, for a conditional model.

    Returns:
        Flattened, shape `(batch, layers + 1, size)`.

    Raises:
        ValueError: latents or conditions have another shape than the model's.
    """
    z = jnp.asarray(z)
    size = flow.config.event_size
    if z.ndim != 2 or z.shape[1] != size or len(z) == 0:
        raise ValueError(f"`z` must have shape (batch, {size}), one or more; got {z.shape}")
    return _flow_states(flow, z, conditions_for(flow.config, condition, len(z)))


@eqx.filter_jit
def _flow_states(
    flow: NormalizingFlow, z: Float[Array, "batch size"], condition: Array | None
) -> Float[Array, "batch states size"]:
    def one(z: Float[Array, " size"], condition: Array | None) -> Float[Array, "states size"]:
        outputs = layer_outputs(flow.bijection, z, flow.condition_vector(condition))
        return jnp.concatenate([z[None], outputs])

    return jax.vmap(one)(z, condition)
