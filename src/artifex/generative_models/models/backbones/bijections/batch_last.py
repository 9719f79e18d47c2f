"""Methods of one example that compute a batch, under `jax.vmap`, with the batch as the last axis of every array.

What a layer does to an example works on many short axes: the pieces of a spline, the parameters of an entry. `vmap`
puts the batch before them, and a processor then works on eight numbers at a time. With the batch last it works on
the whole batch: on CPUs, a spline layer takes half the time, its derivative too.

A method under `@batch_last` must accept any number of further axes after those of its arguments, elementwise but for
the axes that it knows. What `vmap` maps over arrives there; arrays of the module itself never have such axes.
Where the module is mapped too (layers that are many), and where `vmap` stands outside of `grad`, the method is mapped
as any other: same results, at the usual speed.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, PyTree


def batch_last(method: Callable[..., tuple[Array, ...]]) -> Callable[..., tuple[Array, ...]]:
    """The decorator, for methods of modules that take PyTrees of arrays and return a tuple of arrays."""

    @functools.wraps(method)
    def wrapper(self: eqx.Module, *examples: PyTree[Array]) -> tuple[Array, ...]:
        own, own_tree = jax.tree.flatten(self)
        given, given_tree = jax.tree.flatten(examples)
        is_array = tuple(eqx.is_array(leaf) or isinstance(leaf, np.ndarray) for leaf in own)
        arrays = [leaf for leaf, array in zip(own, is_array, strict=True) if array]
        constants = tuple(None if array else leaf for leaf, array in zip(own, is_array, strict=True))
        results = _method_p.bind(
            *arrays,
            *given,
            method=method,
            is_array=is_array,
            constants=constants,
            trees=(own_tree, given_tree),
        )
        return tuple(results)

    # What is checked is what the method itself gets.
    wrapper.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    return wrapper


def _call(
    *leaves: Array,
    method: Callable[..., tuple[Array, ...]],
    is_array: tuple[bool, ...],
    constants: tuple[Any, ...],
    trees: tuple[Any, Any],
) -> list[Array]:
    num = sum(is_array)
    arrays = iter(leaves[:num])
    own = [next(arrays) if array else constant for array, constant in zip(is_array, constants, strict=True)]
    module, examples = jax.tree.unflatten(trees[0], own), jax.tree.unflatten(trees[1], leaves[num:])
    return list(method(module, *examples))


def _shapes(*leaves: Any, **parameters: Any) -> list[jax.core.ShapedArray]:
    shapes = jax.eval_shape(functools.partial(_call, **parameters), *leaves)
    return [jax.core.ShapedArray(result.shape, result.dtype) for result in shapes]


def _mapped(leaves: Sequence[Array], axes: Sequence[Any], **parameters: Any) -> tuple[list[Array], list[int]]:
    """The rule of `vmap`."""
    num = sum(parameters["is_array"])
    if any(axis is not None for axis in axes[:num]):
        results = jax.vmap(functools.partial(_call, **parameters), in_axes=tuple(axes))(*leaves)
        return results, [0] * len(results)
    size = next(leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None)
    examples = [
        jnp.broadcast_to(leaf[..., None], (*leaf.shape, size))
        if axis is None
        else jnp.moveaxis(leaf, axis, -1)
        for leaf, axis in zip(leaves[num:], axes[num:], strict=True)
    ]
    results = _method_p.bind(*leaves[:num], *examples, **parameters)
    return results, [result.ndim - 1 for result in results]


def _derivative(
    leaves: Sequence[Array], tangents: Sequence[Any], **parameters: Any
) -> tuple[list[Array], list[Array]]:
    """The rule of derivatives: those of what the method does."""
    moving = [index for index, tangent in enumerate(tangents) if not isinstance(tangent, ad.Zero)]

    def function(*some: Array) -> list[Array]:
        every = list(leaves)
        for index, leaf in zip(moving, some, strict=True):
            every[index] = leaf
        return _call(*every, **parameters)

    return jax.jvp(function, [leaves[i] for i in moving], [tangents[i] for i in moving])


_method_p = Primitive("batch_last")
_method_p.multiple_results = True
_method_p.def_impl(_call)
_method_p.def_abstract_eval(_shapes)
batching.primitive_batchers[_method_p] = _mapped
ad.primitive_jvps[_method_p] = _derivative
mlir.register_lowering(_method_p, mlir.lower_fun(_call, multiple_results=True))
