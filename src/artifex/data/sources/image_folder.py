"""Pictures from a folder."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from artifex.data.sources.paths import find_data

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


class ImageFolder:
    """Pictures of one size, read when asked for: a `RowSource`.

    With sub-folders, each is a class, numbered in the order of their names. The files are in the order of their
    paths. The shorter side of a picture is scaled to `image_size` (bicubic), then the centre is cut out.

    Attributes:
        files: the pictures.
        class_names: names of the classes; empty where there are no sub-folders.
    """

    def __init__(
        self, folder: str | os.PathLike, *, image_size: int, channels: int = 3, with_labels: bool = False
    ):
        """List the files; none is read yet.

        Args:
            folder: looked for as `find_data` does.
            image_size: height and width, in pixels.
            channels: 1: grey, 3: colour.
            with_labels: whether rows hold the class as `"condition"`.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: it holds no pictures, or classes are asked for and there are no sub-folders.
        """
        root = find_data(folder, what="folder")
        classes = sorted(path for path in root.iterdir() if path.is_dir() and _pictures(path))
        loose = _pictures(root)
        if classes and loose:
            raise ValueError(
                f"{root} holds pictures beside the folders of classes ({loose[0].name}); move them into a class, or "
                "all pictures into one folder"
            )
        if not classes and not loose:
            raise ValueError(f"{root} holds no pictures ({', '.join(sorted(EXTENSIONS))})")
        if with_labels and not classes:
            raise ValueError(
                f"{root} has no sub-folders, so its pictures have no classes; set conditional=False"
            )
        groups = [_pictures(path) for path in classes] if classes else [loose]
        self.files: Sequence[Path] = tuple(file for group in groups for file in group)
        self.class_names: Sequence[str] = tuple(path.name for path in classes)
        self._labels = np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
        self._size = image_size
        self._channels = channels
        self._with_labels = with_labels

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.files)

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, np.ndarray]:
        """The pictures at `indices`, shape `(batch, channels, size, size)`, and their classes if wanted."""
        rows = {"x": np.stack([self.image(int(i)) for i in indices])}
        return {**rows, "condition": self._labels[indices]} if self._with_labels else rows

    def image(self, index: int) -> UInt8[np.ndarray, "channels size size"]:
        """One picture.

        Raises:
            ValueError: the file is no picture or is damaged; the message names it.
        """
        from PIL import Image

        file = self.files[index]
        try:
            with Image.open(file) as opened:
                # `load` before `draft`-like shortcuts: a truncated file must fail here.
                picture = opened.convert("L" if self._channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise ValueError(f"{file} cannot be read as a picture: {error}. Repair or remove it.") from error
        pixels = np.asarray(_cut(picture, self._size), np.uint8)
        return pixels[None] if self._channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in EXTENSIONS)


def _cut(picture, size: int):
    from PIL import Image

    scale = size / min(picture.size)
    width, height = (max(size, round(length * scale)) for length in picture.size)
    if (width, height) != picture.size:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return picture.crop((left, top, left + size, top + size))
