"""Latent variables and codes as figures."""

import numpy as np
from jaxtyping import Array, Float, Integer, Num
from matplotlib import colormaps

from artifex.visualization.figures import NotebookFigure, plot_axes

_MAX_CLASSES = 20


def latent_scatter(
    latents: Float[Array | np.ndarray, "n size"], labels: Num[Array | np.ndarray, " labels"] | None = None
) -> NotebookFigure:
    """Latents as points in the plane: as they are in two dimensions, otherwise on their two principal axes.

    Args:
        latents: at least two of them, of at least two dimensions.
        labels: colours; integers with at most 20 values are classes, with a legend; others are a scale.

    Raises:
        ValueError: fewer than two latents or dimensions, or not finite, or another number of labels.
    """
    points = np.asarray(latents, np.float64)
    if min(points.shape) < 2:
        raise ValueError(
            f"a scatter needs at least two latents of at least two dimensions; got {points.shape}"
        )
    if not np.isfinite(points).all():
        raise ValueError("the latents hold NaN or infinity")
    if labels is not None and len(labels) != len(points):
        raise ValueError(f"`labels` needs one entry for each of the {len(points)} latents; got {len(labels)}")
    names = ["z0", "z1"]
    title = ""
    if points.shape[1] > 2:
        points, explained = principal_axes(points)
        names = [f"principal axis {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(explained)]
        title = f"{np.shape(latents)[1]} dimensions: {explained.sum():.0%} of the variance shown"
    figure, (axes,) = plot_axes(560, 480)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_title(title, fontsize=10)
    _draw_points(figure, axes, points, None if labels is None else np.asarray(labels))
    return figure


def principal_axes(
    points: Float[np.ndarray, "n size"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "2"]]:
    """Coordinates on the two axes of largest variance, and the share of the variance along each."""
    centred = points - points.mean(axis=0, keepdims=True)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2
    total = variances.sum()
    shares = variances[:2] / total if total > 0 else np.zeros(2)
    return left[:, :2] * singular[None, :2], shares


def _draw_points(figure, axes, points, labels):
    style = {"s": 6 if len(points) > 500 else 20, "linewidths": 0, "alpha": 0.8}
    if labels is None:
        axes.scatter(*points.T, **style)
        return
    classes = np.unique(labels)
    if not np.issubdtype(labels.dtype, np.integer) or len(classes) > _MAX_CLASSES:
        figure.colorbar(axes.scatter(*points.T, c=labels, **style), ax=axes)
        return
    cycle = "tab10" if len(classes) <= 10 else "tab20"
    for position, value in enumerate(classes):
        colour = colormaps[cycle](position)
        axes.scatter(*points[labels == value].T, color=colour, label=str(value), **style)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2, frameon=False)


def codebook_usage(codes: Integer[Array | np.ndarray, "..."], num_codes: int) -> NotebookFigure:
    """How often each code of a codebook is used, from the commonest to the rarest, with the perplexity.

    The perplexity is `exp(entropy)` of the codes' frequencies: the number of codes that, used equally, would
    carry as much. `num_codes` means that all are used alike, 1 that one code is used always.

    Args:
        codes: codes in `[0, num_codes)`, of any shape.
        num_codes: size of the codebook.
    """
    flat = np.asarray(codes).reshape(-1)
    if flat.size == 0:
        raise ValueError("there are no codes to count")
    if flat.min() < 0 or flat.max() >= num_codes:
        raise ValueError(f"codes must lie in [0, {num_codes}); got {flat.min()} to {flat.max()}")
    shares = np.sort(np.bincount(flat, minlength=num_codes))[::-1] / flat.size
    used = shares[shares > 0]
    perplexity = np.exp(-np.sum(used * np.log(used)))
    figure, (axes,) = plot_axes(560, 340)
    axes.bar(np.arange(num_codes), shares, width=1.0)
    axes.axhline(1 / num_codes, color="black", linewidth=0.8, linestyle="--", label="all alike")
    axes.set(xlabel="code, by frequency", ylabel="share of all codes", xlim=(-0.5, num_codes - 0.5))
    axes.set_title(f"perplexity {perplexity:.1f}, {len(used)} of {num_codes} codes used", fontsize=10)
    axes.legend(frameon=False)
    return figure
