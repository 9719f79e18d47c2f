"""Metrics of discrete latents."""

import dataclasses

import numpy as np
from jaxtyping import Float, Integer

from artifex.generative_models.core.evaluation.results import Estimate, estimate_mean


def code_perplexity(codes: Integer[np.ndarray, "examples levels codes"], num_codes: int) -> Estimate:
    """How many codes are in use: `exp` of the entropy of the frequencies of a codebook's codes in all examples.

    It is 1 when one code is used and `num_codes` when all are used equally. With several levels, each has a codebook
    of its own, and the result is the mean of theirs. The standard error is that of the delta method with examples as
    independent units: a level's entropy is the mean over examples of `-mean_j log p(code_j)`.

    Args:
        codes: the codes of each example at each level, in [0, num_codes).
        num_codes: size of a codebook.

    Raises:
        ValueError: a code is out of range.
    """
    if codes.size == 0 or codes.min() < 0 or codes.max() >= num_codes:
        found = f"{codes.min()} to {codes.max()}" if codes.size else "none"
        raise ValueError(f"codes must lie in [0, {num_codes}); got {found}")
    surprise = np.stack([_surprise(codes[:, level], num_codes) for level in range(codes.shape[1])])
    perplexities = np.exp(surprise.mean(axis=1, keepdims=True))
    linear = estimate_mean(np.mean(perplexities * surprise, axis=0), what="codebook perplexity")
    return dataclasses.replace(linear, value=float(perplexities.mean()))


def _surprise(codes: Integer[np.ndarray, "examples codes"], num_codes: int) -> Float[np.ndarray, " examples"]:
    """`-mean_j log p(code_j)` of each example, with the frequencies of all examples as p."""
    frequencies = np.bincount(codes.reshape(-1), minlength=num_codes) / codes.size
    surprise = -np.log(frequencies, where=frequencies > 0, out=np.zeros(num_codes))
    return surprise[codes].mean(axis=1)
