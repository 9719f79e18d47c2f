"""Which families are loaded for a config."""

from artifex.generative_models.core.configuration import LatentDiffusionConfig, VAEConfig
from artifex.generative_models.factory import create


def test_families_of_all_parts_are_loaded(monkeypatch):
    """A latent diffusion model needs the family of its autoencoder; nothing loads a family that it does not need."""
    loaded = []
    monkeypatch.setattr(create.importlib, "import_module", loaded.append)
    for config, families in ((LatentDiffusionConfig(), {"diffusion", "vae"}), (VAEConfig(), {"vae"})):
        loaded.clear()
        for part in create._model_configs(config):
            create._import_family(type(part))
        assert {name.split(".")[-1] for name in loaded} == families
