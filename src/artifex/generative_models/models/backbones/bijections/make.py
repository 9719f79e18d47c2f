"""Bijections from their configs."""

from functools import singledispatch

import jax
from jaxtyping import Array, Key

from artifex.generative_models.core.configuration import (
    ActNormConfig,
    BijectionConfig,
    CayleyConfig,
    ChainConfig,
    ContinuousConfig,
    CouplingLayerConfig,
    ElementwiseTransformerConfig,
    ExpLayerConfig,
    HouseholderConfig,
    InverseConfig,
    LeakyReLULayerConfig,
    LeakyTanhLayerConfig,
    LogitLayerConfig,
    LULinearConfig,
    MaskedAutoregressiveConfig,
    PermutationConfig,
    PlanarConfig,
    RadialConfig,
    ReshapeConfig,
    ResidualConfig,
    ReverseConfig,
    ScannedConfig,
    SetCouplingConfig,
    ShiftScaleLayerConfig,
    SigmoidLayerConfig,
    SoftplusLayerConfig,
    SylvesterConfig,
    TanhLayerConfig,
    TransformerAutoregressiveConfig,
)
from artifex.generative_models.models.backbones.bijections.act_norm import ActNorm
from artifex.generative_models.models.backbones.bijections.autoregressive import MaskedAutoregressive
from artifex.generative_models.models.backbones.bijections.base import AbstractBijection, check_vector_shape
from artifex.generative_models.models.backbones.bijections.compose import Chain, Inverted, ScannedBijection
from artifex.generative_models.models.backbones.bijections.continuous import Continuous
from artifex.generative_models.models.backbones.bijections.coupling import Coupling
from artifex.generative_models.models.backbones.bijections.elementwise import (
    Affine,
    Exp,
    LeakyReLU,
    LeakyTanh,
    Logit,
    Sigmoid,
    Softplus,
    Tanh,
)
from artifex.generative_models.models.backbones.bijections.entries import ElementwiseTransformer
from artifex.generative_models.models.backbones.bijections.linear import LULinear, Permutation, Reverse
from artifex.generative_models.models.backbones.bijections.orthogonal import (
    CayleyOrthogonal,
    HouseholderOrthogonal,
)
from artifex.generative_models.models.backbones.bijections.planar import Planar, Radial
from artifex.generative_models.models.backbones.bijections.residual import Residual
from artifex.generative_models.models.backbones.bijections.sequences import TransformerAutoregressive
from artifex.generative_models.models.backbones.bijections.sets import SetCoupling
from artifex.generative_models.models.backbones.bijections.shapes import Reshape
from artifex.generative_models.models.backbones.bijections.sylvester import Sylvester


@singledispatch
def make_bijection(
    config: BijectionConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    """The bijection that a config describes, with random parameters.

    Args:
        config: its kind and sizes.
        event_shape: shape of the example that its forward map takes.
        condition_size: length of the condition vector; 0: unconditional. Kinds that cannot use a condition are
            unconditional all the same.
        key: randomness of the parameters.

    Raises:
        ValueError: the config does not fit the shape.
    """
    raise LookupError(f"no bijection is registered for {type(config).__name__}; use @make_bijection.register")


@make_bijection.register
def _(
    config: CouplingLayerConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Coupling(config, event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: MaskedAutoregressiveConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return MaskedAutoregressive(config, event_shape, condition_size=condition_size, key=key)


_PARAMETER_FREE = {
    ExpLayerConfig: Exp,
    SoftplusLayerConfig: Softplus,
    SigmoidLayerConfig: Sigmoid,
    LogitLayerConfig: Logit,
    TanhLayerConfig: Tanh,
}


@make_bijection.register(ExpLayerConfig)
@make_bijection.register(SoftplusLayerConfig)
@make_bijection.register(SigmoidLayerConfig)
@make_bijection.register(LogitLayerConfig)
@make_bijection.register(TanhLayerConfig)
def _(
    config: BijectionConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return _PARAMETER_FREE[type(config)](event_shape)


@make_bijection.register
def _(
    config: ShiftScaleLayerConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Affine(event_shape, loc=config.shift, scale=config.scale, is_trainable=False)


@make_bijection.register
def _(
    config: LeakyTanhLayerConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return LeakyTanh(event_shape, limit=config.limit)


@make_bijection.register
def _(
    config: LeakyReLULayerConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return LeakyReLU(event_shape, slope=config.slope)


@make_bijection.register
def _(
    config: ElementwiseTransformerConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return ElementwiseTransformer(config.transformer, event_shape, key=key)


@make_bijection.register
def _(
    config: PlanarConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Planar(event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: RadialConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Radial(event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: SylvesterConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Sylvester(event_shape, num_units=config.num_units, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: ResidualConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Residual(config, event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: ActNormConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return ActNorm(event_shape)


@make_bijection.register
def _(
    config: ReverseConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Reverse(event_shape, config.axis)


@make_bijection.register
def _(
    config: ReshapeConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Reshape(event_shape, config.shape)


@make_bijection.register
def _(
    config: TransformerAutoregressiveConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return TransformerAutoregressive(config, event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: SetCouplingConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return SetCoupling(config, event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: PermutationConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Permutation(jax.random.permutation(key, check_vector_shape("Permutation", event_shape)))


@make_bijection.register
def _(
    config: LULinearConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return LULinear(event_shape, key=key)


@make_bijection.register
def _(
    config: HouseholderConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return HouseholderOrthogonal(event_shape, num_reflections=config.num_reflections, key=key)


@make_bijection.register
def _(
    config: CayleyConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return CayleyOrthogonal(event_shape, key=key)


@make_bijection.register
def _(
    config: ContinuousConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    return Continuous(config, event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: InverseConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    inverted = Inverted(make_bijection(config.layer, event_shape, condition_size=condition_size, key=key))
    if inverted.event_shape != event_shape:
        raise ValueError(
            f"`inverse` takes layers that keep the shape; {config.layer.kind!r} leads from {event_shape} to "
            f"{inverted.event_shape}. `squeeze` and `unsqueeze` are inverse to each other."
        )
    return inverted


@make_bijection.register
def _(
    config: ChainConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    parts = []
    for layer, layer_key in zip(config.layers, jax.random.split(key, len(config.layers)), strict=True):
        part = make_bijection(layer, event_shape, condition_size=condition_size, key=layer_key)
        event_shape = part.out_shape
        parts.append(part)
    return Chain(parts)


@make_bijection.register
def _(
    config: ScannedConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    key: Key[Array, ""],
) -> AbstractBijection:
    def make_layer(key: Key[Array, ""]) -> AbstractBijection:
        return make_bijection(config.layer, event_shape, condition_size=condition_size, key=key)

    return ScannedBijection(make_layer, config.num_layers, key=key)
