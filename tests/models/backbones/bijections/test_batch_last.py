"""Methods that compute a batch along the last axis: the results of a plain method, whatever transforms them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.models.backbones.bijections.batch_last import batch_last


def maps(weight, x, condition):
    """Two functions of one example, polymorphic in further axes."""
    h = jnp.tanh(jnp.tensordot(weight, x, 1) + condition["c"])
    return h * jnp.sum(h**2, axis=0, keepdims=True), jnp.sum(jnp.sin(h), axis=0)


class Layer(eqx.Module):
    """With the method both ways."""

    weight: jax.Array

    @batch_last
    def fast(self, x, condition):
        """Under test."""
        return maps(self.weight, x, condition)

    def plain(self, x, condition):
        """What it must equal."""
        return maps(self.weight, x, condition)


def total(method):
    """A number of both results."""
    return lambda *arguments: sum(jnp.sum(jnp.cos(result)) for result in method(*arguments))


def of(name):
    """The method of a layer as a function of its weights."""
    return lambda weight, x, c: getattr(Layer(weight), name)(x, {"c": c})


TRANSFORMED = {
    "one": lambda f: lambda w, x, c: f(w, x[0, 0], c[0, 0]),
    "batch": lambda f: lambda w, x, c: jax.vmap(f, (None, 0, 0))(w, x[0], c[0]),
    "batch in another axis": lambda f: lambda w, x, c: jax.vmap(f, (None, 1, 0), (1, 0))(w, x[0].T, c[0]),
    "one condition for all": lambda f: lambda w, x, c: jax.vmap(f, (None, 0, None))(w, x[0], c[0, 0]),
    "two batches": lambda f: lambda w, x, c: jax.vmap(jax.vmap(f, (None, 0, 0)), (None, 0, 0))(w, x, c),
    "layers that are many": lambda f: lambda w, x, c: jax.vmap(f)(jnp.stack([w, 2 * w, w**2]), x[0], c[0]),
    "scanned": lambda f: (
        lambda w, x, c: jax.vmap(
            lambda x, c: jax.lax.scan(lambda x, _: f(w, x, c), x, None, length=3), out_axes=1
        )(x[0], c[0])
    ),
    "gradient of a batch": lambda f: jax.grad(
        lambda w, x, c: total(jax.vmap(f, (None, 0, 0)))(w, x[0], c[0]), (0, 1, 2)
    ),
    "gradient of a scan": lambda f: jax.grad(
        lambda w, x: jnp.sum(
            jax.vmap(lambda x: jax.lax.scan(lambda x, _: f(w, x, x), x, None, length=3)[0])(x[0])
        )
    ),
    "gradients of each": lambda f: (
        lambda w, x, c: jax.vmap(jax.grad(total(f), 1), (None, 0, 0))(w, x[0], c[0])
    ),
    "forward mode": lambda f: lambda w, x, c: jax.jacfwd(f)(w, x[0, 0], c[0, 0]),
    "second derivatives": lambda f: lambda w, x, c: jax.hessian(total(f), 1)(w, x[0, 0], c[0, 0]),
    "checkpoint": lambda f: jax.grad(
        lambda w, x, c: total(jax.checkpoint(jax.vmap(f, (None, 0, 0))))(w, x[0], c[0])
    ),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_equals_the_plain_method(name, key):
    """Values and derivatives."""
    w_key, x_key, c_key = jax.random.split(key, 3)
    arguments = [jax.random.normal(w_key, (4, 4)), jax.random.normal(x_key, (2, 3, 4))]
    if name != "gradient of a scan":
        arguments.append(jax.random.normal(c_key, (2, 3, 4)))
    found, wanted = (jax.jit(TRANSFORMED[name](of(method)))(*arguments) for method in ("fast", "plain"))
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def test_the_batch_is_last():
    """In what is computed for a batch and in its derivative every product has the batch behind."""
    layer = Layer(jnp.ones((4, 4)))
    x = jnp.ones((7, 4))

    def loss(layer, x):
        return total(jax.vmap(lambda x: layer.fast(x, {"c": x})))(x)

    program = str(jax.make_jaxpr(jax.jit(loss))(layer, x))
    assert "batch_last" in program
    lines = str(jax.make_jaxpr(jax.grad(loss))(layer, x)).splitlines()
    tanh = [line for line in lines if "= tanh" in line]
    assert tanh and all("f32[4,7]" in line for line in tanh)


def test_without_jit(key):
    """The same as with it."""
    layer = Layer(jax.random.normal(key, (4, 4)))
    x = jnp.linspace(-1.0, 1.0, 4)
    for found, wanted in zip(layer.fast(x, {"c": x}), layer.plain(x, {"c": x}), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_lowers_to_plain_operations():
    """Programs can be exported: nothing of it is left."""
    layer = Layer(jnp.ones((4, 4)))
    lowered = jax.jit(jax.vmap(lambda x: layer.fast(x, {"c": x}))).lower(jnp.ones((7, 4))).as_text()
    assert "batch_last" not in lowered and "tanh" in lowered
