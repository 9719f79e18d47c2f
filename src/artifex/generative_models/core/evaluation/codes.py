"""Metrics of discrete latents."""

import math

import numpy as np
from jaxtyping import Integer

from artifex.generative_models.core.evaluation.results import Estimate, estimate_mean


def code_perplexity(codes: Integer[np.ndarray, "examples codes"], num_codes: int) -> Estimate:
    """How many codes are in use: `exp` of the entropy of the frequencies of all codes of all examples.

    It is 1 when one code is used and `num_codes` when all are used equally. The standard error is that of the delta
    method with examples as independent units: the entropy is the mean over examples of `-mean_j log p(code_j)`.

    Args:
        codes: the codes of each example, in [0, num_codes).
        num_codes: size of the codebook.

    Raises:
        ValueError: a code is out of range.
    """
    if codes.size == 0 or codes.min() < 0 or codes.max() >= num_codes:
        found = f"{codes.min()} to {codes.max()}" if codes.size else "none"
        raise ValueError(f"codes must lie in [0, {num_codes}); got {found}")
    frequencies = np.bincount(codes.reshape(-1), minlength=num_codes) / codes.size
    surprise = -np.log(frequencies, where=frequencies > 0, out=np.zeros(num_codes))
    entropy = estimate_mean(surprise[codes].mean(axis=1), what="code entropy")
    perplexity = math.exp(entropy.value)
    error = None if entropy.standard_error is None else perplexity * entropy.standard_error
    return Estimate(perplexity, error, entropy.num_examples)
