"""Pictures: every function returns a matplotlib figure that shows itself in a notebook.

The figures belong to nobody but the caller: pyplot knows nothing of them, so none pile up. The functions are
loaded when first used, because matplotlib takes a second to import.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artifex.visualization.calibration import coverage_curves, rank_histograms
    from artifex.visualization.curves import read_metrics, training_curves
    from artifex.visualization.denoising import denoising_strip
    from artifex.visualization.figures import save_figure
    from artifex.visualization.grids import warped_grid
    from artifex.visualization.images import image_grid, reconstructions, traversal
    from artifex.visualization.latents import codebook_usage, latent_scatter
    from artifex.visualization.layers import layer_scatters
    from artifex.visualization.pairs import pair_plot
    from artifex.visualization.pixels import contact_sheet, save_images
    from artifex.visualization.points import density_map, point_scatter
    from artifex.visualization.quality import quality_curves
    from artifex.visualization.schedules import schedule_plot
    from artifex.visualization.trajectories import trajectories_2d

_MODULES = {
    "codebook_usage": "latents",
    "contact_sheet": "pixels",
    "coverage_curves": "calibration",
    "denoising_strip": "denoising",
    "density_map": "points",
    "image_grid": "images",
    "latent_scatter": "latents",
    "layer_scatters": "layers",
    "pair_plot": "pairs",
    "point_scatter": "points",
    "quality_curves": "quality",
    "rank_histograms": "calibration",
    "read_metrics": "curves",
    "reconstructions": "images",
    "save_figure": "figures",
    "save_images": "pixels",
    "schedule_plot": "schedules",
    "training_curves": "curves",
    "trajectories_2d": "trajectories",
    "traversal": "images",
    "warped_grid": "grids",
}

__all__ = [
    "codebook_usage",
    "contact_sheet",
    "coverage_curves",
    "denoising_strip",
    "density_map",
    "image_grid",
    "latent_scatter",
    "layer_scatters",
    "pair_plot",
    "point_scatter",
    "quality_curves",
    "rank_histograms",
    "read_metrics",
    "reconstructions",
    "save_figure",
    "save_images",
    "schedule_plot",
    "training_curves",
    "trajectories_2d",
    "traversal",
    "warped_grid",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
