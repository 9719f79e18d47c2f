"""Modalities: what kinds of data there are, and how each is loaded and evaluated."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Array, Key

from artifex.data import AbstractDataset, DataSplits
from artifex.generative_models.core.configuration import DataConfig, from_mapping
from artifex.generative_models.core.evaluation import Evaluation
from artifex.generative_models.core.representations import AbstractRepresentation
from artifex.utils.messages import unknown_name

_BUILT_IN = ("image", "tabular", "toy")
_MODALITIES: dict[str, "Modality"] = {}


@dataclasses.dataclass(frozen=True)
class Modality:
    """What a modality brings.

    Attributes:
        config_class: the config of its data; `config.kind` is the modality's name.
        load: from a config to the splits.
        evaluate: `evaluate(model, dataset, *, key, ...)`, the metrics of the modality.
        representation: the class of its representations, by which a data set is known to be of this modality.
        datasets: named data sets, for `load_data("name")`.
        load_representation: from a config to the representation alone; None: it is that of the loaded data, as
            representations that are fitted to data (means and variances, vocabularies) need.
    """

    config_class: type[DataConfig]
    load: Callable[[Any], DataSplits]
    evaluate: Callable[..., Evaluation]
    representation: type
    datasets: Mapping[str, DataConfig] = dataclasses.field(default_factory=dict)
    load_representation: Callable[[Any], AbstractRepresentation] | None = None


def register_modality(name: str, modality: Modality) -> None:
    """Enter a modality under its name, which is the kind of its data's config.

    Raises:
        ValueError: the name differs from the kind, or another modality has it, or one of its data sets' names.
    """
    if name != modality.config_class.kind:
        raise ValueError(
            f"the modality's name must be the kind of {modality.config_class.__name__}, "
            f"{modality.config_class.kind!r}; got {name!r}"
        )
    for known_name, known in _MODALITIES.items():
        if known_name == name and _origin(known) != _origin(modality):
            raise ValueError(f"modality {name!r} is registered already, for {_origin(known)}")
        taken = set(known.datasets) & set(modality.datasets)
        if known_name != name and taken:
            raise ValueError(f"data set names {sorted(taken)} belong to modality {known_name!r} already")
    _MODALITIES[name] = modality


def modalities() -> dict[str, Modality]:
    """All modalities by name, those of the library and registered ones."""
    for name in _BUILT_IN:
        importlib.import_module(f"{__package__}.{name}")
    return dict(sorted(_MODALITIES.items()))


def load_data(data: DataConfig | Mapping[str, Any] | str) -> DataSplits:
    """Training, validation and test data, in their representation.

        data = load_data("digits")
        data = load_data(ImageDataConfig(dataset="mnist", representation="binarized", conditional=True))

    Args:
        data: a config, a mapping with its `kind` and fields, or the name of a data set.

    Raises:
        LookupError: there is no data set of such a name (the message holds the nearest one), or no modality for
            such a config.
        ConfigError: the mapping does not describe data.
        FileNotFoundError: a file is missing.
    """
    modality, config = _found(data)
    return modality.load(config)


def load_representation(data: DataConfig | Mapping[str, Any] | str) -> AbstractRepresentation:
    """The representation of `load_data(data)`, without the examples where it does not depend on them.

        representation = load_representation(experiment.data)
        images = representation.decode(model.generate(64, key=key))

    Args:
        data: a config, a mapping with its `kind` and fields, or the name of a data set.

    Raises:
        LookupError: see `load_data`.
        ConfigError: the mapping does not describe data.
    """
    modality, config = _found(data)
    if modality.load_representation is None:
        return modality.load(config).representation
    return modality.load_representation(config)


def _found(data: DataConfig | Mapping[str, Any] | str) -> tuple[Modality, DataConfig]:
    """The config that `data` means, and its modality."""
    if isinstance(data, str):
        named = {name: config for m in modalities().values() for name, config in m.datasets.items()}
        if data not in named:
            raise LookupError(
                f"{unknown_name('data set', data, named)} For your own files give a config, such as "
                "ImageDataConfig(dataset=ImageFolderConfig(folder=...))."
            )
        data = named[data]
    elif isinstance(data, Mapping):
        modalities()
        data = from_mapping(DataConfig, data)
    if not isinstance(data, DataConfig):
        raise TypeError(
            f"data must be a data config, a mapping or a data set's name; got {type(data).__name__}"
        )
    for modality in modalities().values():
        if type(data) is modality.config_class:
            return modality, data
    raise LookupError(f"no modality is registered for {type(data).__name__}; see `register_modality`")


def evaluate(model: Any, dataset: AbstractDataset, *, key: Key[Array, ""], **options: Any) -> Evaluation:
    """The metrics of the data set's modality; see the `evaluate` of that modality for the options.

    Args:
        model: a trained model.
        dataset: examples that the model was not trained on.
        key: randomness of bounds, latents and representations.
        options: passed on, such as `metrics`, `num_importance_samples`, `batch_size` and `max_examples`.

    Raises:
        TypeError: the data set belongs to no modality.
    """
    if not isinstance(dataset, AbstractDataset):
        raise TypeError(f"`dataset` must be a Dataset; got {type(dataset).__name__}")
    for modality in modalities().values():
        if isinstance(dataset.representation, modality.representation):
            return modality.evaluate(model, dataset, key=key, **options)
    raise TypeError(
        f"the data set's representation, {type(dataset.representation).__name__}, belongs to no modality: "
        "give the data set one, such as Dataset(arrays, UnitInterval(num_levels=256)) for pictures"
    )


def _origin(modality: Modality) -> str:
    return f"{modality.load.__module__}.{modality.load.__qualname__}"
