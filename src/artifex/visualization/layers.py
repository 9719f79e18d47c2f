"""A flow layer by layer, as what each makes of the same points."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float, Num

from artifex.visualization.figures import NotebookFigure, plot_axes

_SIDE = 260


def layer_scatters(
    states: Float[Array | np.ndarray, "samples ..."],
    *,
    colours: Num[Array | np.ndarray, " colours"] | None = None,
    num_panels: int = 6,
    titles: Sequence[str] | None = None,
) -> NotebookFigure:
    """One panel for each layer, with the points as they leave it; the first shows the latents, the last the samples.

    >>> states = np.stack([np.zeros((3, 2)), np.ones((3, 2))], axis=1)  # 3 samples, before and after one layer
    >>> figure = layer_scatters(states)
    >>> [axes.get_title() for axes in figure.axes]
    ['latents', 'layer 1']

    Args:
        states: the first two numbers of each are drawn: shape `(samples, layers + 1, size)`, as `flow_states`
            gives them.
        colours: one number for each sample, the same in every panel; None: the angle of its latent.
        num_panels: at most so many, evenly spread, the first and the last among them.
        titles: one for each of the `layers + 1` states; None: their numbers.

    Raises:
        ValueError: another shape, NaN or infinity, or another number of colours or titles.
    """
    values = np.asarray(states, np.float64)
    if values.ndim != 3 or values.shape[1] < 2 or values.shape[2] < 2 or len(values) < 1:
        raise ValueError(
            "`states` must have shape (samples, layers + 1, size), with a layer or more and a size of at least 2; got "
            f"{values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("`states` holds NaN or infinity")
    num_states = values.shape[1]
    if num_panels < 2:
        raise ValueError(
            f"`num_panels` must be at least 2, for the latents and the samples; got {num_panels}"
        )
    if titles is not None and len(titles) != num_states:
        raise ValueError(f"`titles` needs one entry for each of the {num_states} states; got {len(titles)}")
    if colours is not None and len(colours) != len(values):
        raise ValueError(
            f"`colours` needs one number for each of the {len(values)} samples; got {len(colours)}"
        )
    latents = values[:, 0]
    shades = np.arctan2(latents[:, 1], latents[:, 0]) if colours is None else np.asarray(colours)
    shown = np.unique(np.linspace(0, num_states - 1, num_panels).round().astype(int))
    figure, panels = plot_axes(_SIDE, _SIDE + 20, num_panels=len(shown))
    size = 3 if len(values) > 500 else 9
    for panel, index in zip(panels, shown, strict=True):
        points = values[:, index, :2]
        panel.scatter(*points.T, s=size, c=shades, cmap="twilight" if colours is None else None, linewidths=0)
        title = "latents" if index == 0 else f"layer {index}"
        panel.set_title(title if titles is None else titles[index], fontsize=10)
        panel.set_aspect("equal", adjustable="datalim")
    return figure
