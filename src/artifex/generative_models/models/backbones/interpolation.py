"""Ways between two latents."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def spherical_interpolation(
    start: Float[Array, "..."], end: Float[Array, "..."], weight: Float[Array, ""]
) -> Float[Array, "..."]:
    """The point at `weight` in [0, 1] on the great circle through both, so that noise keeps its length.

    Source: Shoemake 1985, "Animating rotation with quaternion curves".
    """
    cosine = jnp.sum(start * end) / jnp.maximum(jnp.linalg.norm(start) * jnp.linalg.norm(end), 1e-12)
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    is_straight = jnp.sin(angle) < 1e-4
    sine = jnp.where(is_straight, 1.0, jnp.sin(angle))
    near = jnp.where(is_straight, 1.0 - weight, jnp.sin((1.0 - weight) * angle) / sine)
    far = jnp.where(is_straight, weight, jnp.sin(weight * angle) / sine)
    return near * start + far * end
