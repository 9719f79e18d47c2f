"""Pictures: data sets, representations, evaluation."""

from artifex.generative_models.core.configuration import (
    DigitsConfig,
    FashionMNISTConfig,
    ImageDataConfig,
    MNISTConfig,
)
from artifex.generative_models.modalities.image.classifier import (
    CLASSIFIER_TRAINING,
    ImageClassifier,
    train_image_classifier,
)
from artifex.generative_models.modalities.image.datasets import (
    StoredImages,
    image_representation,
    load_images,
    num_levels,
    read_images,
)
from artifex.generative_models.modalities.image.evaluation import evaluate_images
from artifex.generative_models.modalities.image.representations import (
    AbstractImageRepresentation,
    Dequantized,
    Discrete,
    DynamicBinarized,
    FixedBinarized,
    Logit,
    Symmetric,
    ThresholdBinarized,
    UnitInterval,
    make_image_representation,
)
from artifex.generative_models.modalities.image.samples import evaluate_samples
from artifex.generative_models.modalities.registry import Modality, register_modality

register_modality(
    "image",
    Modality(
        config_class=ImageDataConfig,
        load=load_images,
        evaluate=evaluate_images,
        representation=AbstractImageRepresentation,
        datasets={
            "digits": ImageDataConfig(dataset=DigitsConfig()),
            "mnist": ImageDataConfig(dataset=MNISTConfig()),
            "fashion_mnist": ImageDataConfig(dataset=FashionMNISTConfig()),
        },
        load_representation=image_representation,
    ),
)
