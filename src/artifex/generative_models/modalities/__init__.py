"""Modalities: for each kind of data its data sets, its representations and its evaluation."""

from artifex.generative_models.modalities.registry import (
    Modality,
    evaluate,
    load_data,
    load_representation,
    modalities,
    register_modality,
)
