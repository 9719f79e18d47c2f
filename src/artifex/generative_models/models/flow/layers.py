"""The layers of the customary flows, as configs of bijections from latents to examples."""

from functools import singledispatch

from artifex.generative_models.core.configuration import (
    ActNormConfig,
    AdditiveTransformerConfig,
    AffineTransformerConfig,
    BijectionConfig,
    BijectionFlowConfig,
    ChainConfig,
    CouplingLayerConfig,
    ElementwiseTransformerConfig,
    FlowConfig,
    IAFConfig,
    InverseConfig,
    LULinearConfig,
    MAFConfig,
    MaskedAutoregressiveConfig,
    MonotoneNetworkConfig,
    NAFConfig,
    NICEConfig,
    NSFConfig,
    PermutationConfig,
    RationalQuadraticSplineConfig,
    RealNVPConfig,
    ReshapeConfig,
    ResidualConfig,
    ResidualFlowConfig,
    ReverseConfig,
    ScalarTransformerConfig,
    ScannedConfig,
    SetCouplingConfig,
    SetFlowConfig,
    VectorFlowConfig,
)

_MIXINGS = {"reverse": ReverseConfig(), "permutation": PermutationConfig(), "lu_linear": LULinearConfig()}


@singledispatch
def flow_layers(config: FlowConfig) -> BijectionConfig:
    """The bijection of a flow on the flattened example."""
    raise LookupError(f"no layers are registered for {type(config).__name__}; use @flow_layers.register")


@flow_layers.register
def _(config: BijectionFlowConfig) -> BijectionConfig:
    return config.bijection


@flow_layers.register
def _(config: NICEConfig) -> BijectionConfig:
    scale = ElementwiseTransformerConfig(transformer=AffineTransformerConfig())
    return ChainConfig(layers=(scale, _couplings(config, AdditiveTransformerConfig())))


@flow_layers.register
def _(config: RealNVPConfig) -> BijectionConfig:
    return _couplings(config, AffineTransformerConfig())


@flow_layers.register
def _(config: MAFConfig) -> BijectionConfig:
    return _autoregressive(config, AffineTransformerConfig())


@flow_layers.register
def _(config: IAFConfig) -> BijectionConfig:
    return _mixed(config, _masked(config, AffineTransformerConfig()))


@flow_layers.register
def _(config: NSFConfig) -> BijectionConfig:
    spline = RationalQuadraticSplineConfig(num_bins=config.num_bins, bound=config.bound)
    return _autoregressive(config, spline) if config.is_autoregressive else _couplings(config, spline)


@flow_layers.register
def _(config: NAFConfig) -> BijectionConfig:
    return _autoregressive(config, MonotoneNetworkConfig(hidden_size=config.monotone_size))


@flow_layers.register
def _(config: SetFlowConfig) -> BijectionConfig:
    coupling = SetCouplingConfig(
        transformer=config.transformer,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_heads,
    )
    pair = ChainConfig(layers=(coupling, ReverseConfig()))
    couplings = ScannedConfig(layer=pair, num_layers=config.num_layers)
    return ChainConfig(layers=(ReshapeConfig(shape=config.event_shape), couplings, ReshapeConfig()))


@flow_layers.register
def _(config: ResidualFlowConfig) -> BijectionConfig:
    residual = ResidualConfig(
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        lipschitz=config.lipschitz,
        estimator=config.estimator,
    )
    pair = ChainConfig(layers=(residual, ActNormConfig()))
    return ScannedConfig(layer=pair, num_layers=config.num_layers)


def _couplings(config: VectorFlowConfig, transformer: ScalarTransformerConfig) -> BijectionConfig:
    """With the transformers' forward maps, the cheaper ones of splines, on the way of training: to the latents."""
    coupling = CouplingLayerConfig(
        transformer=transformer,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        activation=config.activation,
    )
    return _mixed(config, InverseConfig(layer=coupling))


def _autoregressive(config: VectorFlowConfig, transformer: ScalarTransformerConfig) -> BijectionConfig:
    """With densities in one pass."""
    return _mixed(config, InverseConfig(layer=_masked(config, transformer)))


def _masked(config: VectorFlowConfig, transformer: ScalarTransformerConfig) -> BijectionConfig:
    return MaskedAutoregressiveConfig(
        transformer=transformer,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        activation=config.activation,
    )


def _mixed(config: VectorFlowConfig, layer: BijectionConfig) -> BijectionConfig:
    pair = ChainConfig(layers=(layer, _MIXINGS[config.mixing]))
    return ScannedConfig(layer=pair, num_layers=config.num_layers)
