"""Every public model, small: what stands here passes the whole contract.

Nearly all the time that the contract takes goes into compilation, so networks have as few layers as show every
path, and share their sizes: what is compiled for one model serves the next.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import (
    AutoencoderKLConfig,
    BernoulliConfig,
    BottomUpInferenceConfig,
    BoundConfig,
    CapacityConfig,
    CNFConfig,
    CodePriorConfig,
    ConsistencyConfig,
    ContinuousConfig,
    ContinuousConsistencyConfig,
    ConvDecoderConfig,
    ConvEncoderConfig,
    CouplingLayerConfig,
    DDIMConfig,
    DDPMConfig,
    DDPMPathConfig,
    DequantizedFlowConfig,
    DiscreteConsistencyConfig,
    DiscretizedLogisticConfig,
    DiTConfig,
    EDMConfig,
    FlowMatchingConfig,
    FlowPosteriorConfig,
    FlowPriorConfig,
    FSQConfig,
    GaussianMixturePriorConfig,
    GlowConfig,
    HierarchicalVAEConfig,
    IAFConfig,
    ImageRealNVPConfig,
    ImportanceWeightedConfig,
    LatentDiffusionConfig,
    LearnedRangeVarianceConfig,
    LevelTimesConfig,
    LinearScheduleConfig,
    MAFConfig,
    MaskedAutoregressiveConfig,
    MaskedDiffusionConfig,
    MeanFlowConfig,
    MLPDecoderConfig,
    MLPDenoiserConfig,
    MLPEncoderConfig,
    MMDConfig,
    MMDiTConfig,
    ModelConfig,
    NAFConfig,
    NICEConfig,
    NormalConfig,
    NSFConfig,
    OptimalTransportCouplingConfig,
    RealNVPConfig,
    ResidualFlowConfig,
    ResidualQuantizerConfig,
    ScoreSDEConfig,
    SetFlowConfig,
    SphereFlowConfig,
    StochasticInterpolantConfig,
    TarFlowConfig,
    TokenDiffusionConfig,
    TokenMLPConfig,
    TokenTransformerConfig,
    TorusFlowConfig,
    TotalCorrelationConfig,
    UNetConfig,
    UniformDiffusionConfig,
    UniformTimesConfig,
    UViTConfig,
    VAEConfig,
    VampPriorConfig,
    VectorQuantizerConfig,
    VPredictionConfig,
    VQVAEConfig,
)
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.factory import create_model


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        config: of a tiny model.
        binary: whether its data are 0 and 1; else they are multiples of 1/16 from 0 to 1. Tokens are integers.
        is_slow: whether it runs with the slow tests: a model of another row, on a network that has tests of its own.
        fit_steps: training steps in which it shall learn 8 examples.
        fit_metric: the metric that must fall then.
        decodes_condition: whether the condition changes what latents are decoded to; else it changes samples.
    """

    config: ModelConfig
    binary: bool = True
    fit_steps: int = 300
    fit_metric: str = "loss"
    decodes_condition: bool = True
    is_slow: bool = False

    @property
    def dtype(self) -> Any:
        """Type of an example's entries."""
        return jnp.float32 if self.num_tokens is None else jnp.int32

    @property
    def num_tokens(self) -> int | None:
        """Number of integers of which examples are made, or None."""
        if isinstance(self.config, TokenDiffusionConfig):
            return self.config.vocab_size
        return self.config.num_levels if isinstance(self.config, DequantizedFlowConfig) else None


_SHAPE = (1, 4, 4)
_MLP: dict[str, Any] = {
    "event_shape": _SHAPE,
    "latent_size": 3,
    "encoder": MLPEncoderConfig(hidden_sizes=(16,)),
    "decoder": MLPDecoderConfig(hidden_sizes=(16,)),
}
_CONV: dict[str, Any] = {
    "event_shape": _SHAPE,
    "encoder": ConvEncoderConfig(channels=(8,)),
    "decoder": ConvDecoderConfig(channels=(8,)),
}
_HIERARCHICAL: dict[str, Any] = {
    **{name: value for name, value in _MLP.items() if name != "latent_size"},
    "latent_sizes": (3, 3, 3),
    "hidden_sizes": (16,),
}
_QUANTIZED: dict[str, Any] = {**_CONV, "prior": CodePriorConfig(hidden_size=8, num_layers=1, num_heads=2)}
_AUTOENCODER: dict[str, Any] = {"event_shape": _SHAPE, "channels": (8, 12), "latent_channels": 2}
_DENOISER: dict[str, Any] = {
    "event_shape": _SHAPE,
    "network": MLPDenoiserConfig(hidden_size=16, num_layers=2),
    "num_sampling_steps": 3,
}
_FLOW: dict[str, Any] = {"event_shape": _SHAPE, "num_layers": 2, "hidden_size": 16}
_IMAGE_FLOW: dict[str, Any] = {"event_shape": _SHAPE, "num_levels": 2, "num_steps": 1, "hidden_channels": 8}
_TOKENS: dict[str, Any] = {"event_shape": _SHAPE, "vocab_size": 5, "num_sampling_steps": 3}
_LEVELS = DiscretizedLogisticConfig(num_levels=17)
_FLOW_POSTERIOR = FlowPosteriorConfig(
    bijection=MaskedAutoregressiveConfig(hidden_size=16, num_layers=1), context_size=4
)

TABLE: dict[str, Entry] = {
    "vae_mlp_bernoulli": Entry(VAEConfig(**_MLP, likelihood=BernoulliConfig())),
    "vae_conv_levels": Entry(VAEConfig(**_CONV, latent_size=3, likelihood=_LEVELS), binary=False),
    "vae_normal_predicted": Entry(
        VAEConfig(**_MLP, likelihood=NormalConfig(scale_source="predicted", scale=0.3)), binary=False
    ),
    "vae_labels": Entry(VAEConfig(**_MLP, num_classes=3)),
    "vae_condition_conv": Entry(VAEConfig(**_CONV, latent_size=3, condition_shape=(2,))),
    "vae_warmup": Entry(VAEConfig(**_MLP, kl_weight=LinearScheduleConfig(num_steps=20))),
    "vae_capacity": Entry(
        VAEConfig(**_MLP, objective=CapacityConfig(capacity=LinearScheduleConfig(end=4.0, num_steps=20)))
    ),
    "vae_iwae": Entry(VAEConfig(**_MLP, objective=ImportanceWeightedConfig(num_samples=5))),
    "vae_dreg": Entry(VAEConfig(**_MLP, objective=ImportanceWeightedConfig(num_samples=5, estimator="dreg"))),
    "vae_vamp": Entry(VAEConfig(**_MLP, prior=VampPriorConfig(num_components=6))),
    "vae_mixture": Entry(VAEConfig(**_MLP, prior=GaussianMixturePriorConfig(num_components=6))),
    "vae_iaf": Entry(VAEConfig(**_MLP, posterior=_FLOW_POSTERIOR)),
    "vae_flows_iwae": Entry(
        VAEConfig(
            **_MLP,
            posterior=_FLOW_POSTERIOR,
            prior=FlowPriorConfig(bijection=CouplingLayerConfig(hidden_size=16, num_layers=1)),
            objective=ImportanceWeightedConfig(num_samples=5),
        ),
        is_slow=True,
    ),
    # Its estimate of the total correlation keeps an offset of up to 2 log(8 * 8) nats, times 6, that nothing lowers.
    "vae_total_correlation": Entry(
        VAEConfig(**_MLP, objective=TotalCorrelationConfig(dataset_size=8)), fit_metric="reconstruction"
    ),
    "hierarchical_vae_ladder": Entry(HierarchicalVAEConfig(**_HIERARCHICAL, num_classes=3)),
    "hierarchical_vae_bottom_up": Entry(
        HierarchicalVAEConfig(
            **_HIERARCHICAL,
            inference=BottomUpInferenceConfig(),
            objective=ImportanceWeightedConfig(num_samples=5),
        )
    ),
    "vae_mmd": Entry(VAEConfig(**_MLP, objective=MMDConfig(weight=10.0))),
    "vqvae": Entry(
        VQVAEConfig(**_QUANTIZED, quantizer=VectorQuantizerConfig(num_codes=8, embedding_size=4)),
        binary=False,
    ),
    "vqvae_residual_labels": Entry(
        VQVAEConfig(
            **_QUANTIZED,
            num_classes=3,
            quantizer=ResidualQuantizerConfig(num_levels=2, num_codes=8, embedding_size=4),
            likelihood=_LEVELS,
        ),
        binary=False,
    ),
    "vqvae_fsq": Entry(
        VQVAEConfig(**_QUANTIZED, quantizer=FSQConfig(levels=(4, 3, 3)), likelihood=BernoulliConfig())
    ),
    "autoencoder_kl": Entry(AutoencoderKLConfig(**_AUTOENCODER), binary=False, fit_steps=100),
    "nice": Entry(NICEConfig(**_FLOW), binary=False, is_slow=True),
    "real_nvp_labels": Entry(RealNVPConfig(**_FLOW, num_classes=3), binary=False),
    "cnf_condition": Entry(
        CNFConfig(
            event_shape=_SHAPE,
            condition_shape=(2,),
            bijection=ContinuousConfig(
                network=MLPDenoiserConfig(hidden_size=16, num_layers=2), solver="heun", num_steps=3
            ),
            kinetic_weight=0.1,
            jacobian_weight=0.1,
        ),
        binary=False,
        is_slow=True,
    ),
    "torus_flow": Entry(TorusFlowConfig(**_FLOW, num_bins=4), binary=False, is_slow=True),
    "sphere_flow_labels": Entry(
        SphereFlowConfig(num_layers=2, hidden_size=16, num_classes=3), binary=False, is_slow=True
    ),
    "maf": Entry(MAFConfig(**_FLOW), binary=False),
    "iaf": Entry(IAFConfig(**_FLOW), binary=False, is_slow=True),
    "nsf_condition": Entry(NSFConfig(**_FLOW, condition_shape=(2,), standardize=True), binary=False),
    "naf": Entry(NAFConfig(**_FLOW, monotone_size=4), binary=False, is_slow=True),
    "set_flow": Entry(
        SetFlowConfig(event_shape=(4, 2), num_layers=2, hidden_size=16, num_heads=2),
        binary=False,
        # The density of eight points has no bound: later, gradients of 1,500 throw it back now and then.
        fit_steps=100,
        is_slow=True,
    ),
    "tarflow_labels": Entry(
        TarFlowConfig(
            event_shape=_SHAPE,
            num_classes=3,
            num_layers=2,
            hidden_size=16,
            num_hidden_layers=1,
            num_heads=2,
            noise_scale=0.25,
            condition_dropout=0.2,
            guidance_scale=2.0,
        ),
        binary=False,
        fit_steps=100,
    ),
    "glow_labels": Entry(GlowConfig(**_IMAGE_FLOW, num_classes=3), binary=False, fit_steps=100, is_slow=True),
    "image_real_nvp": Entry(ImageRealNVPConfig(**_IMAGE_FLOW), binary=False, fit_steps=100, is_slow=True),
    "dequantized_flow": Entry(
        DequantizedFlowConfig(
            event_shape=_SHAPE,
            num_levels=5,
            flow=RealNVPConfig(**_FLOW),
            num_layers=1,
            hidden_channels=4,
        ),
        fit_steps=100,
        is_slow=True,
    ),
    "residual_flow": Entry(ResidualFlowConfig(**_FLOW, num_hidden_layers=1), binary=False, is_slow=True),
    "ddpm": Entry(DDPMConfig(**_DENOISER, path=DDPMPathConfig(num_steps=20, beta_end=0.5))),
    "ddpm_learned_variance_self_conditioning": Entry(
        DDPMConfig(
            **_DENOISER,
            path=DDPMPathConfig(num_steps=20, beta_end=0.5),
            times=LevelTimesConfig(num_levels=20),
            variance=LearnedRangeVarianceConfig(),
            bound=BoundConfig(num_levels=17, low=0.0),
            has_self_conditioning=True,
        ),
        fit_metric="mse",
    ),
    "ddim_labels": Entry(
        DDIMConfig(**_DENOISER, num_classes=3, condition_dropout=0.2, guidance_scale=2.0), binary=False
    ),
    "score_sde": Entry(ScoreSDEConfig(**_DENOISER, times=UniformTimesConfig(low_discrepancy=True))),
    "edm_condition": Entry(EDMConfig(**_DENOISER, condition_shape=(2,))),
    "flow_matching": Entry(FlowMatchingConfig(**_DENOISER), binary=False),
    "flow_matching_transport_labels": Entry(
        FlowMatchingConfig(**_DENOISER, num_classes=3, coupling=OptimalTransportCouplingConfig()),
        binary=False,
        is_slow=True,
    ),
    "stochastic_interpolant": Entry(
        StochasticInterpolantConfig(**_DENOISER, num_classes=3, bridge_scale=0.5, eta=0.5), binary=False
    ),
    "flow_matching_unet_labels": Entry(
        FlowMatchingConfig(
            **{**_DENOISER, "network": UNetConfig(channels=(8, 8), num_blocks=1, num_heads=2)}, num_classes=3
        ),
        fit_steps=100,
    ),
    "ddim_dit_labels": Entry(
        DDIMConfig(
            **{**_DENOISER, "network": DiTConfig(hidden_size=16, num_layers=2, num_heads=2)}, num_classes=3
        ),
        fit_steps=100,
    ),
    "flow_matching_unet_sequence": Entry(
        FlowMatchingConfig(
            event_shape=(2, 4),
            network=UNetConfig(channels=(8, 8), num_blocks=1, num_heads=2, has_residual_resampling=True),
            num_sampling_steps=3,
        ),
        fit_steps=100,
        is_slow=True,
    ),
    "flow_matching_u_vit_labels": Entry(
        FlowMatchingConfig(
            **{**_DENOISER, "network": UViTConfig(hidden_size=16, num_layers=3, num_heads=2)}, num_classes=3
        ),
        fit_steps=100,
        is_slow=True,
    ),
    "flow_matching_mm_dit_tokens": Entry(
        FlowMatchingConfig(
            **{
                **_DENOISER,
                "network": MMDiTConfig(hidden_size=16, num_layers=2, num_heads=2, condition_tokens=(3, 2)),
            },
            condition_shape=(3, 2),
            condition_dropout=0.2,
        ),
        fit_steps=100,
        is_slow=True,
    ),
    "masked_diffusion_labels": Entry(
        MaskedDiffusionConfig(
            **_TOKENS,
            network=TokenTransformerConfig(hidden_size=16, num_layers=2, num_heads=2),
            num_classes=3,
            condition_dropout=0.2,
            guidance_scale=2.0,
        ),
        fit_steps=100,
    ),
    "uniform_diffusion": Entry(
        UniformDiffusionConfig(**_TOKENS, network=TokenMLPConfig(hidden_size=16, num_layers=2))
    ),
    "latent_diffusion_labels": Entry(
        LatentDiffusionConfig(
            event_shape=_SHAPE,
            num_classes=3,
            autoencoder=AutoencoderKLConfig(
                event_shape=_SHAPE, channels=(8,), latent_channels=1, has_middle_attention=False
            ),
            diffusion=DDIMConfig(**_DENOISER, num_classes=3, condition_dropout=0.2, guidance_scale=2.0),
        ),
        binary=False,
        decodes_condition=False,
    ),
    # The loss of a few-step model is a distance of its own outputs; what falls is that of its data from the examples.
    # A wide gap, as the difference of outputs at two times, divided by it, would show the round-off of both.
    "consistency": Entry(
        ConsistencyConfig(
            **{**_DENOISER, "num_sampling_steps": 2}, objective=DiscreteConsistencyConfig(gap=0.25)
        ),
        binary=False,
        fit_metric="mse",
    ),
    "consistency_continuous": Entry(
        ConsistencyConfig(
            **{**_DENOISER, "num_sampling_steps": 1},
            condition_shape=(2,),
            prediction=VPredictionConfig(),
            objective=ContinuousConsistencyConfig(warmup=LinearScheduleConfig(num_steps=100)),
        ),
        fit_metric="mse",
    ),
    "consistency_distilled_labels": Entry(
        ConsistencyConfig(
            **{**_DENOISER, "num_sampling_steps": 1},
            num_classes=3,
            teacher=DDIMConfig(**_DENOISER, num_classes=3, condition_dropout=0.2, guidance_scale=2.0),
        ),
        binary=False,
    ),
    "mean_flow_labels": Entry(
        MeanFlowConfig(
            **{**_DENOISER, "num_sampling_steps": 1},
            num_classes=3,
            condition_dropout=0.2,
            guidance_scale=1.5,
            guidance_mixing=0.2,
            adaptive_power=0.5,
        ),
        binary=False,
        fit_metric="mse",
    ),
}


def new_model(entry: Entry, *, key: Any) -> Any:
    """A new model; a part that is to be trained before it is there, as good as trained."""
    model = create_model(entry.config, key=key)
    part = entry.config.pretrained_part
    if part is None:
        return model
    return model.with_pretrained(create_model(part, key=key), **batch(entry, 16), key=key)


def make(entry: Entry, *, seed: int = 0) -> Any:
    """The model with every trainable leaf moved away from its start, so that no zero initialisation hides a path."""
    trainable, rest = partition_trainable(new_model(entry, key=jax.random.key(seed)))
    rng = np.random.default_rng(seed)  # NumPy: JAX would compile for each shape
    moved = jax.tree.map(
        lambda leaf: jnp.asarray(np.asarray(leaf) + 0.02 * rng.normal(size=leaf.shape), leaf.dtype), trainable
    )
    return eqx.combine(moved, rest)


def batch(entry: Entry, num: int, *, seed: int = 0) -> dict[str, Any]:
    """Examples and, for a conditional model, conditions."""
    rng = np.random.default_rng(seed)
    shape = (num, *entry.config.event_shape)
    if entry.num_tokens is not None:
        x = rng.integers(0, entry.num_tokens, shape)
    else:
        x = rng.integers(0, 2, shape) if entry.binary else rng.integers(0, 17, shape) / 16
    if isinstance(entry.config, SphereFlowConfig):
        x = (x + 0.01) / np.linalg.norm(x + 0.01, axis=1, keepdims=True)
    made: dict[str, Any] = {"x": jnp.asarray(x, entry.dtype)}
    condition = conditions(entry, num, seed=seed)
    return made if condition is None else {**made, "condition": condition}


def conditions(entry: Entry, num: int, *, seed: int = 0) -> jax.Array | None:
    """Conditions that fit a model, or None."""
    rng = np.random.default_rng(seed + 1000)
    if entry.config.num_classes is not None:
        return jnp.asarray(rng.integers(0, entry.config.num_classes, num), jnp.int32)
    if entry.config.condition_shape is not None:
        return jnp.asarray(rng.normal(size=(num, *entry.config.condition_shape)), jnp.float32)
    return None
