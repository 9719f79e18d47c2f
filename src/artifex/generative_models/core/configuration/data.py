"""Configs of data: which examples, how they are split, and the representation in which a model sees them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import Fraction, NonNegativeInt, PositiveInt

NumLevels = Annotated[int, Field(ge=2, le=65536)]


@config()
class DataConfig(Config):
    """Data of one modality. The kind is the modality's name."""


@config()
class ImageDatasetConfig(Config):
    """A set of pictures. A kind alone, such as "mnist", is short for its config."""

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A string is taken for a kind."""
        return {"kind": value} if isinstance(value, str) else value


@config("digits")
class DigitsConfig(ImageDatasetConfig):
    """Handwritten digits, 8x8, 17 grey levels, 1797 pictures in 10 classes; they come with scikit-learn."""


@config("mnist")
class MNISTConfig(ImageDatasetConfig):
    """MNIST: handwritten digits, 28x28, 60,000 training and 10,000 test pictures in 10 classes.

    Attributes:
        file: npz file with the arrays train_images, train_labels, test_images and test_labels.
    """

    file: str = "mnist.npz"


@config("fashion_mnist")
class FashionMNISTConfig(ImageDatasetConfig):
    """Fashion-MNIST: clothes, 28x28, 60,000 training and 10,000 test pictures in 10 classes.

    Attributes:
        file: npz file with the arrays train_images, train_labels, test_images and test_labels.
    """

    file: str = "fashion_mnist.npz"


@config("npz")
class NpzImagesConfig(ImageDatasetConfig):
    """Pictures in an npz file, as integers of shape (n, h, w), (n, c, h, w) or (n, h, w, c).

    Attributes:
        file: the file; a relative path is looked for in the working folder and in ARTIFEX_DATA_DIR.
        images: name of the array of pictures.
        labels: name of the array of class labels; None: there are none.
        test_images: name of the array of test pictures; None: the data have no test part of their own.
        test_labels: name of the array of class labels of the test pictures.
        channels: where the channels of four-axis arrays stand.
        num_levels: number of values of a pixel, from 0 to num_levels - 1.
    """

    file: str
    images: str = "images"
    labels: str | None = None
    test_images: str | None = None
    test_labels: str | None = None
    channels: Literal["first", "last"] = "first"
    num_levels: NumLevels = 256

    def __post_init__(self) -> None:
        if self.test_images is not None and (self.labels is None) != (self.test_labels is None):
            raise ValueError("give both `labels` and `test_labels`, or neither")


@config("idx")
class IDXImagesConfig(ImageDatasetConfig):
    """Pictures in IDX files, as MNIST was first published; plain or gzipped.

    Attributes:
        images: file of the pictures.
        labels: file of the class labels; None: there are none.
        test_images: file of the test pictures; None: the data have no test part of their own.
        test_labels: file of the class labels of the test pictures.
    """

    images: str = "train-images-idx3-ubyte.gz"
    labels: str | None = None
    test_images: str | None = None
    test_labels: str | None = None

    def __post_init__(self) -> None:
        if self.test_images is not None and (self.labels is None) != (self.test_labels is None):
            raise ValueError("give both `labels` and `test_labels`, or neither")


@config("image_folder")
class ImageFolderConfig(ImageDatasetConfig):
    """Pictures in a folder: one sub-folder for each class, or all in the folder itself.

    Attributes:
        folder: the folder; a relative path is looked for in the working folder and in ARTIFEX_DATA_DIR.
        image_size: height and width in pixels. The shorter side is scaled to it (bicubic), then the centre cut out.
        channels: 1: grey, 3: colour.
        memory_limit: pictures of up to so many bytes in all are read once and kept; more are read when needed.
    """

    folder: str
    image_size: PositiveInt = 32
    channels: Literal[1, 3] = 3
    memory_limit: NonNegativeInt = 2**28


@config()
class ImageRepresentationConfig(Config):
    """How a model sees pictures. A kind alone, such as "unit_interval", is short for its config."""

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A string is taken for a kind."""
        return {"kind": value} if isinstance(value, str) else value


@config("unit_interval")
class UnitIntervalConfig(ImageRepresentationConfig):
    """Levels as numbers from 0 to 1."""


@config("symmetric")
class SymmetricConfig(ImageRepresentationConfig):
    """Levels as numbers from -1 to 1."""


@config("binarized")
class BinarizedConfig(ImageRepresentationConfig):
    """Black and white.

    Attributes:
        method: "dynamic": a pixel is white with its grey value as probability, drawn anew each time it is seen;
            "fixed": the same, drawn once for each picture; "threshold": white above half of the greatest level.
        seed: of the fixed draw.
    """

    method: Literal["dynamic", "fixed", "threshold"] = "dynamic"
    seed: NonNegativeInt = 0


@config("dequantized")
class DequantizedConfig(ImageRepresentationConfig):
    """Levels with uniform noise added, as real numbers from 0 to 1, for models with a density."""


@config("logit")
class LogitConfig(ImageRepresentationConfig):
    """Dequantized, then stretched to all real numbers by the logit function.

    Attributes:
        alpha: pixels are squeezed to [alpha, 1 - alpha] first; less than 0.5.
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not 1e-6 <= self.alpha < 0.5:
            raise ValueError(f"`alpha` must lie in [1e-6, 0.5); got {self.alpha}")


@config("discrete")
class DiscreteConfig(ImageRepresentationConfig):
    """Levels as integers, for models of tokens."""


@config("image")
class ImageDataConfig(DataConfig):
    """Pictures, split into parts that share none.

    Attributes:
        dataset: which pictures.
        representation: how a model sees them.
        conditional: whether a model also gets the class labels, as its condition.
        validation_size: number of training pictures that are held out; None: by `validation_fraction`.
        validation_fraction: part of the training pictures that is held out; 0: none.
        test_fraction: part of all pictures that is held out for the test, where the data have no test part of
            their own.
        split: how held-out pictures are chosen: "random", or the "last" ones in the order of the files.
        split_seed: of the random choice.
    """

    dataset: ImageDatasetConfig = DigitsConfig()
    representation: ImageRepresentationConfig = UnitIntervalConfig()
    conditional: bool = False
    validation_size: NonNegativeInt | None = None
    validation_fraction: Fraction = 0.1
    test_fraction: Fraction = 0.1
    split: Literal["random", "last"] = "random"
    split_seed: NonNegativeInt = 0
