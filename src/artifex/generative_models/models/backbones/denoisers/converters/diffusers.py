"""Folders that the `diffusers` package wrote: `config.json` and a safetensors file."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from artifex.generative_models.models.backbones.denoisers.converters.autoencoder import (
    ConvertedAutoencoder,
    autoencoder_from_diffusers,
)
from artifex.generative_models.models.backbones.denoisers.converters.dit import dit_from_diffusers
from artifex.generative_models.models.backbones.denoisers.converters.settings import require
from artifex.generative_models.models.backbones.denoisers.converters.tensors import ConvertedNetwork
from artifex.generative_models.models.backbones.denoisers.converters.unet import unet_from_diffusers
from artifex.utils.messages import unknown_name

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_CONVERTERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], ConvertedNetwork]] = {
    "DiTTransformer2DModel": dit_from_diffusers,
    "UNet2DModel": unet_from_diffusers,
}


def load_diffusers(folder: str | os.PathLike) -> ConvertedNetwork:
    """The network that `save_pretrained` of the `diffusers` package wrote, as one of ours; PyTorch is not needed.

    Args:
        folder: holds `config.json` and `diffusion_pytorch_model.safetensors`.

    Raises:
        FileNotFoundError: one of the two is not there.
        ValueError: the class of the network, or a setting of it, is not supported, or the weights are not its own.
    """
    settings, tensors = read_folder(folder)
    name = settings.get("_class_name")
    if name not in _CONVERTERS:
        raise ValueError(unknown_name("class of a diffusers network", name, _CONVERTERS))
    return _CONVERTERS[name](settings, tensors)


def load_diffusers_autoencoder(folder: str | os.PathLike) -> ConvertedAutoencoder:
    """The networks of an `AutoencoderKL` that `save_pretrained` of the `diffusers` package wrote.

    `AutoencoderKL.from_networks` makes a model of them.

    Args:
        folder: holds `config.json` and `diffusion_pytorch_model.safetensors`.

    Raises:
        FileNotFoundError: one of the two is not there.
        ValueError: it holds another network, a setting is not supported, or the weights are not its own.
    """
    settings, tensors = read_folder(folder)
    require(settings, _class_name="AutoencoderKL")
    return autoencoder_from_diffusers(settings, tensors)


def read_folder(folder: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `config.json` and the safetensors file of a folder hold.

    Raises:
        FileNotFoundError: one of the two is not there.
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    for name in ("config.json", _WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} must hold `config.json` and `{_WEIGHTS}`; `{name}` is missing")
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return settings, load_file(folder / _WEIGHTS)
