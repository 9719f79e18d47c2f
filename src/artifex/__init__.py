"""Artifex: generative modelling for JAX.

The names that a notebook needs stand here. Each is loaded when first used, so `import artifex` is cheap.

    import jax
    import artifex as ax

    experiment = ax.zoo.get("vae_digits")
    data = ax.load_data(experiment.data)
    model = ax.create_model(experiment.model, key=jax.random.key(0))
    result = ax.fit(model, data.train, experiment.training, key=jax.random.key(1))
    images = data.representation.decode(result.model.generate(64, key=jax.random.key(2)))
    ax.visualization.image_grid(images)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artifex import visualization as visualization
    from artifex.generative_models import zoo as zoo
    from artifex.generative_models.core.configuration import Experiment as Experiment
    from artifex.generative_models.core.device import DeviceManager as DeviceManager
    from artifex.generative_models.core.protocols import LossOutput as LossOutput
    from artifex.generative_models.factory import create_model as create_model
    from artifex.generative_models.factory import load_model as load_model
    from artifex.generative_models.factory import register_model as register_model
    from artifex.generative_models.factory import save_model as save_model
    from artifex.generative_models.modalities import evaluate as evaluate
    from artifex.generative_models.modalities import load_data as load_data
    from artifex.generative_models.modalities import load_representation as load_representation
    from artifex.generative_models.training import fit as fit
    from artifex.generative_models.zoo import run_experiment as run_experiment

    __version__: str

# The same names as above, for use at run time: where each is loaded from.
_MODELS = "artifex.generative_models."
_SOURCES = {
    "DeviceManager": _MODELS + "core.device",
    "Experiment": _MODELS + "core.configuration",
    "LossOutput": _MODELS + "core.protocols",
    "create_model": _MODELS + "factory",
    "evaluate": _MODELS + "modalities",
    "fit": _MODELS + "training",
    "load_data": _MODELS + "modalities",
    "load_model": _MODELS + "factory",
    "load_representation": _MODELS + "modalities",
    "register_model": _MODELS + "factory",
    "run_experiment": _MODELS + "zoo",
    "save_model": _MODELS + "factory",
}
_MODULES = {"visualization": "artifex.visualization", "zoo": _MODELS + "zoo"}

__all__ = [
    "DeviceManager",
    "Experiment",
    "LossOutput",
    "create_model",
    "evaluate",
    "fit",
    "load_data",
    "load_model",
    "load_representation",
    "register_model",
    "run_experiment",
    "save_model",
    "visualization",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _SOURCES:
        value = getattr(importlib.import_module(_SOURCES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name == "__version__":
        from importlib.metadata import version

        value = version("artifex")
    else:
        from artifex.utils.messages import nearest_name

        nearest = nearest_name(name, __all__)
        hint = f". Did you mean {nearest!r}?" if nearest else ""
        raise AttributeError(f"module 'artifex' has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
