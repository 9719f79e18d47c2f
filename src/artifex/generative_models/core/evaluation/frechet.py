"""Distance between two sets of examples, in a space of features."""

import numpy as np
from jaxtyping import Float


def frechet_distance(
    first: Float[np.ndarray, "n features"], second: Float[np.ndarray, "m features"]
) -> float:
    """Frechet (2-Wasserstein) distance between Gaussians with the means and covariances of two sets, squared.

        |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^(1/2) C2 C1^(1/2))^(1/2))

    It is biased upwards, by about tr(C) (1 / n + 1 / m) and more for many features: only distances from equal
    numbers of examples, in the features of one network, can be compared.

    Source: Heusel et al. 2017, arXiv:1706.08500, equation 6. Deviation: the trace is that of a symmetric square root,
    from eigenvalues in float64, so no imaginary parts have to be dropped and no diagonal has to be added.

    Args:
        first: features of each example.
        second: those of the other set.

    Raises:
        ValueError: a set has fewer than two examples, the numbers of features differ, or a feature is not finite.
    """
    sets = [np.asarray(values, np.float64) for values in (first, second)]
    if any(len(values) < 2 for values in sets) or sets[0].shape[1] != sets[1].shape[1]:
        raise ValueError(
            "both sets must have at least 2 examples and the same number of features; got shapes "
            f"{sets[0].shape} and {sets[1].shape}"
        )
    if not all(np.isfinite(values).all() for values in sets):
        raise ValueError("features must be finite")
    (mean1, mean2), (cov1, cov2) = zip(*((v.mean(0), np.cov(v, rowvar=False)) for v in sets), strict=True)
    cov1, cov2 = np.atleast_2d(cov1), np.atleast_2d(cov2)
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov2 @ root), 0.0)).sum()
    return float(np.sum((mean1 - mean2) ** 2) + np.trace(cov1) + np.trace(cov2) - 2.0 * cross)
