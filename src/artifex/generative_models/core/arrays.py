"""Types of arguments."""

from jax.typing import ArrayLike
from jaxtyping import PyTree

# What public methods take: JAX or NumPy arrays, or numbers, alone or in a tree; inside there are JAX arrays only.
Arrays = PyTree[ArrayLike]
