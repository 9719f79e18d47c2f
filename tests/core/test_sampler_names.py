"""Samplers and spacings by name."""

import pytest

from artifex.generative_models.core.configuration import (
    ConfigError,
    DDIMSamplerConfig,
    DPMSolverMultistepSamplerConfig,
    FlowMatchingConfig,
    KarrasSpacingConfig,
    SamplerConfig,
    UniPCSamplerConfig,
    as_config,
    from_yaml,
)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("dpmpp_2m", DPMSolverMultistepSamplerConfig()),
        ("dpmpp_2m_sde", DPMSolverMultistepSamplerConfig(is_stochastic=True)),
        ("ddpm", DDIMSamplerConfig(eta=1.0)),
        ("euler", DDIMSamplerConfig()),
        ("unipc", UniPCSamplerConfig()),
    ],
)
def test_names(name, config):
    """Customary names and kinds stand for configs, in Python and in YAML."""
    assert as_config(SamplerConfig, name) == config
    assert FlowMatchingConfig(sampler=name).sampler == config
    assert from_yaml(FlowMatchingConfig, f"kind: flow_matching\nsampler: {name}\n").sampler == config


def test_spacing():
    """A kind alone."""
    assert FlowMatchingConfig(spacing="karras").spacing == KarrasSpacingConfig()


def test_unknown_name():
    """The error holds the nearest name and the field."""
    with pytest.raises(ConfigError, match=r"^sampler: unknown sampler 'dpmpp2m'. Did you mean 'dpmpp_2m'"):
        FlowMatchingConfig(sampler="dpmpp2m")
    with pytest.raises(ConfigError, match=r"^spacing\.kind: unknown kind"):
        FlowMatchingConfig(spacing="karas")
