"""Splits: which examples are for training, validation and test."""

from typing import Literal

import numpy as np
from jaxtyping import Int


def held_out_size(size: int | None, fraction: float, total: int, *, what: str) -> int:
    """Number of examples to hold out.

    Args:
        size: that number itself; None: by `fraction`.
        fraction: part of the `total`, rounded to the nearest number; a positive one gives at least one example.
        total: number of examples.
        what: name of the part, for the error message.

    Raises:
        ValueError: nothing would remain to train on.
    """
    wanted = size if size is not None else (max(1, round(fraction * total)) if fraction > 0 else 0)
    if wanted >= total:
        raise ValueError(
            f"the {what} part must be smaller than the {total} examples that it is taken from; got {wanted}. Give "
            f"more data, or hold out none: `{what}_fraction` 0"
        )
    return wanted


def split_indices(
    total: int, held_out: int, *, how: Literal["random", "last"], seed: int, part: int = 0
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " held_out"]]:
    """Positions that are kept and that are held out; together all of them, each once, both in rising order.

    Args:
        total: number of examples.
        held_out: number of those to hold out.
        how: `"random"`, or `"last"`: those at the end.
        seed: of the random choice.
        part: number of this split, so that two splits with one seed choose independently.
    """
    if how == "last":
        return np.arange(total - held_out), np.arange(total - held_out, total)
    order = np.random.default_rng([seed, part]).permutation(total)
    return np.sort(order[held_out:]), np.sort(order[:held_out])
