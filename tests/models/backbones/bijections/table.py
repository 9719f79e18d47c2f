"""Every bijection, at random parameters, with what to put into it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from artifex.generative_models.core.configuration import (
    AdditiveTransformerConfig,
    AffineTransformerConfig,
    CircularSplineConfig,
    CouplingLayerConfig,
    CubicSplineConfig,
    ImageCouplingConfig,
    IntervalSplineConfig,
    LinearSplineConfig,
    MaskedAutoregressiveConfig,
    MixtureCDFConfig,
    MonotoneNetworkConfig,
    RationalQuadraticSplineConfig,
    ResidualConfig,
    SetCouplingConfig,
    TransformerAutoregressiveConfig,
)
from artifex.generative_models.models.backbones.bijections import (
    AbstractBijection,
    ActNorm,
    Affine,
    CayleyOrthogonal,
    Chain,
    ChannelCoupling,
    CheckerboardCoupling,
    Coupling,
    ElementwiseTransformer,
    Exp,
    HouseholderOrthogonal,
    Inverted,
    InvertibleConv1x1,
    LeakyReLU,
    LeakyTanh,
    Logit,
    LULinear,
    MaskedAutoregressive,
    PatchesToImage,
    Permutation,
    Planar,
    Radial,
    Reshape,
    Residual,
    Reverse,
    ScannedBijection,
    SetCoupling,
    Sigmoid,
    Softplus,
    Split,
    Squeeze,
    Sylvester,
    Tanh,
    TransformerAutoregressive,
    Unsqueeze,
)
from artifex.generative_models.models.backbones.bijections.transformers import wrapped

SHAPE = (3,)


class Row(NamedTuple):
    """A bijection and its domain.

    Attributes:
        make: builds it from a key.
        domain: maps any numbers into those that the forward map takes.
        takes_all: whether numbers of any size have finite images and gradients.
        covers_all: whether numbers of any size have finite inverse images and gradients.
        spread: how much random numbers are added to its parameters.
    """

    make: Callable[[Any], AbstractBijection]
    domain: Callable[[Any], Any] = lambda x: x
    takes_all: bool = True
    covers_all: bool = True
    spread: float = 0.5


def _layers(key: Any) -> Chain:
    norm_key, linear_key = jax.random.split(key)
    permutation = Permutation(jax.random.permutation(norm_key, SHAPE[0]))
    return Chain([ActNorm(SHAPE), permutation, LULinear(SHAPE, key=linear_key), LeakyTanh(SHAPE)])


TRANSFORMERS = {
    "affine": AffineTransformerConfig(max_log_scale=2.0),
    "additive": AdditiveTransformerConfig(),
    "rational_quadratic_spline": RationalQuadraticSplineConfig(num_bins=5, bound=3.0),
    "circular_spline": CircularSplineConfig(num_bins=4),
    "interval_spline": IntervalSplineConfig(num_bins=4, bound=4.0),
    "linear_spline": LinearSplineConfig(num_bins=5, bound=3.0),
    "cubic_spline": CubicSplineConfig(num_bins=4, bound=3.0),
    "mixture_cdf": MixtureCDFConfig(num_components=3),
    "monotone_network": MonotoneNetworkConfig(hidden_size=3),
}
DOMAINS = {"circular_spline": wrapped, "interval_spline": lambda x: 4.0 * jnp.tanh(x)}
CONDITION_SIZE = 2
_TRANSFORMER: dict[str, Any] = {"hidden_size": 8, "num_layers": 1, "num_heads": 2}


def _entries(name: str) -> Row:
    domain = DOMAINS.get(name, lambda x: x)
    return Row(lambda key: ElementwiseTransformer(TRANSFORMERS[name], (2, 2), key=key), domain, spread=1.0)


def _coupling(mask: Any, transformer: str, condition_size: int = 0) -> Row:
    config = CouplingLayerConfig(
        mask=mask, transformer=TRANSFORMERS[transformer], hidden_size=6, num_layers=2
    )
    return Row(lambda key: Coupling(config, (4,), condition_size=condition_size, key=key))


def _autoregressive(transformer: str, *, size: int, condition_size: int = 0, **fields: Any) -> Row:
    config = MaskedAutoregressiveConfig(transformer=TRANSFORMERS[transformer], **fields)
    return Row(
        lambda key: MaskedAutoregressive(config, (size,), condition_size=condition_size, key=key), spread=0.3
    )


def _image_coupling(
    make: Any, mask: str, transformer: str, shape: tuple[int, ...], condition_size: int = 0, **fields: Any
) -> Row:
    config = ImageCouplingConfig(
        mask=mask, transformer=TRANSFORMERS[transformer], hidden_channels=4, **fields
    )
    return Row(lambda key: make(config, shape, condition_size=condition_size, key=key), spread=0.3)


def _residual(key: Any) -> Residual:
    config = ResidualConfig(hidden_size=6, num_layers=1, lipschitz=0.7)
    return Residual(config, SHAPE, condition_size=CONDITION_SIZE, key=key)


ROWS = {
    "affine": Row(lambda key: Affine(SHAPE, loc=2.0, scale=0.3)),
    "affine_fixed": Row(lambda key: Affine(SHAPE, loc=2.0, scale=0.3, is_trainable=False)),
    "exp": Row(lambda key: Exp(SHAPE), takes_all=False),
    "softplus": Row(lambda key: Softplus((2, 2))),
    "sigmoid": Row(lambda key: Sigmoid(SHAPE)),
    "logit": Row(lambda key: Logit(SHAPE), domain=jax.nn.sigmoid),
    "tanh": Row(lambda key: Tanh(SHAPE)),
    "leaky_tanh": Row(lambda key: LeakyTanh(SHAPE, limit=1.0)),
    "leaky_relu": Row(lambda key: LeakyReLU(SHAPE)),
    "permutation": Row(lambda key: Permutation(jnp.array([2, 0, 1]))),
    "reverse": Row(lambda key: Reverse(SHAPE)),
    "lu_linear": Row(lambda key: LULinear(SHAPE, key=key)),
    "householder": Row(lambda key: HouseholderOrthogonal(SHAPE, key=key)),
    "cayley": Row(lambda key: CayleyOrthogonal(SHAPE, key=key)),
    "act_norm": Row(lambda key: ActNorm((2, 2, 2))),
    "inverted": Row(lambda key: Inverted(Affine(SHAPE, scale=jnp.array([1.0, 2.0, 3.0])))),
    "chain": Row(_layers),
    "scanned": Row(lambda key: ScannedBijection(_layers, 3, key=key), spread=0.2),
    **{f"entries_{name}": _entries(name) for name in TRANSFORMERS},
    "planar": Row(lambda key: Planar(SHAPE, condition_size=CONDITION_SIZE, key=key)),
    "radial": Row(lambda key: Radial(SHAPE, condition_size=CONDITION_SIZE, key=key)),
    "sylvester": Row(lambda key: Sylvester((4,), num_units=2, condition_size=CONDITION_SIZE, key=key)),
    "coupling_affine": _coupling("last", "affine", CONDITION_SIZE),
    "coupling_spline": _coupling((True, False, False, True), "rational_quadratic_spline"),
    "squeeze": Row(lambda key: Squeeze((1, 2, 4))),
    "unsqueeze": Row(lambda key: Unsqueeze((4, 1, 2))),
    "conv_1x1": Row(lambda key: InvertibleConv1x1((3, 2, 1), key=key)),
    "coupling_channels": _image_coupling(ChannelCoupling, "last", "affine", (3, 2, 2), CONDITION_SIZE),
    "coupling_channels_spline": _image_coupling(
        ChannelCoupling, "first", "rational_quadratic_spline", (2, 2, 1), num_blocks=0
    ),
    "coupling_checkerboard": _image_coupling(
        CheckerboardCoupling, "even", "affine", (2, 2, 3), 6 + CONDITION_SIZE, condition_channels=1
    ),
    "split": Row(lambda key: Split(Chain([Reshape((4,), (1, 2, 2)), ActNorm((1, 2, 2))]))),
    "residual": Row(_residual),
    "autoregressive_affine": _autoregressive(
        "affine", size=4, condition_size=CONDITION_SIZE, hidden_size=9, order=(2, 0, 3, 1)
    ),
    "autoregressive_spline": _autoregressive(
        "rational_quadratic_spline", size=3, hidden_size=1, num_layers=1, activation="softplus"
    ),
    "coupling_circular": _coupling("odd", "circular_spline", CONDITION_SIZE)._replace(domain=wrapped),
    "autoregressive_circular": _autoregressive(
        "circular_spline", size=4, hidden_size=2, num_layers=1, order=(1, 3, 0, 2)
    )._replace(domain=wrapped),
    "autoregressive_network": _autoregressive("monotone_network", size=2, hidden_size=5, num_layers=1),
    "reshape": Row(lambda key: Reshape((2, 3), (3, 2))),
    "reverse_sequence": Row(lambda key: Reverse((3, 2), axis=0)),
    "patches": Row(lambda key: PatchesToImage((2, 2, 4), 2)),
    "set_coupling": Row(
        lambda key: SetCoupling(
            SetCouplingConfig(mask=(True, False, False), transformer=TRANSFORMERS["affine"], **_TRANSFORMER),
            (4, 3),
            condition_size=CONDITION_SIZE,
            key=key,
        ),
        spread=0.3,
    ),
    "transformer_autoregressive": Row(
        lambda key: TransformerAutoregressive(
            TransformerAutoregressiveConfig(transformer=TRANSFORMERS["affine"], **_TRANSFORMER),
            (4, 2),
            condition_size=CONDITION_SIZE,
            key=key,
        ),
        spread=0.3,
    ),
}


def random_bijection(row: Row, key: Any) -> AbstractBijection:
    """The bijection of a row with random numbers added to all of its parameters."""
    make_key, noise_key = jax.random.split(key)
    bijection = row.make(make_key)
    arrays, rest = eqx.partition(bijection, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    keys = jax.random.split(noise_key, max(len(leaves), 1))
    leaves = [
        leaf + row.spread * jax.random.normal(key, leaf.shape, leaf.dtype)
        for leaf, key in zip(leaves, keys, strict=False)
    ]
    return eqx.combine(jax.tree.unflatten(structure, leaves), rest)
