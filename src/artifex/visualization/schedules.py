"""What the parts of a diffusion model do along the path."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from artifex.generative_models.core.configuration import DiffusionConfig, PathConfig
from artifex.generative_models.models.diffusion.paths import make_path
from artifex.generative_models.models.diffusion.predictions import make_prediction
from artifex.generative_models.models.diffusion.times import MIN_TIME, quantile
from artifex.generative_models.models.diffusion.weightings import weight
from artifex.visualization.figures import NotebookFigure, plot_axes

_NUM_TIMES = 400
_LOG_SNR_RANGE = (-15.0, 15.0)
_NUM_BINS = 60
_NUM_QUANTILES = 100_000
_END = 1e-3  # log-SNR is infinite at the very ends of most paths

_WEIGHT = "weight of the data's error"

Curve = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]
Schedules = Mapping[str, PathConfig | DiffusionConfig] | Sequence[PathConfig | DiffusionConfig]


def schedule_plot(schedules: Schedules) -> NotebookFigure:
    """Alpha, sigma and log-SNR of paths against time; of models also what their loss looks at, against log-SNR.

    Models on different paths compare by log-SNR, and models with different predictions by the weight of the squared
    error of the data estimate, so that is drawn; and how dense training examples lie in log-SNR, in bins of 1/2.

    >>> from artifex.generative_models.core.configuration import CosinePathConfig, FlowMatchingConfig
    >>> [axes.get_ylabel() for axes in schedule_plot([CosinePathConfig()]).axes]
    ['alpha', 'sigma', 'log-SNR']
    >>> len(schedule_plot({"flow": FlowMatchingConfig(event_shape=(2,))}).axes)
    5

    Args:
        schedules: configs of paths or models, under the names to show; a list takes their kinds.

    Raises:
        ValueError: there are none, or two of a list are of one kind.
    """
    named = _named(schedules)
    models = {name: config for name, config in named.items() if isinstance(config, DiffusionConfig)}
    panels: dict[str, dict[str, Curve]] = {"alpha": {}, "sigma": {}, "log-SNR": {}}
    for name, config in named.items():
        curves = _path_curves(config.path if isinstance(config, DiffusionConfig) else config)
        for panel, curve in curves.items():
            panels[panel][name] = curve
    if models:
        panels[_WEIGHT] = {name: _weights(config) for name, config in models.items()}
        panels["density of training examples"] = {name: _density(config) for name, config in models.items()}
    figure, axes = plot_axes(300, 300, num_panels=len(panels))
    for (label, curves), panel in zip(panels.items(), axes, strict=True):
        for name, (t, values) in curves.items():
            # A model keeps its colour in all panels, also where paths alone are missing.
            panel.plot(t, values, label=name, color=f"C{list(named).index(name)}", linewidth=1.4)
        is_of_loss = label not in ("alpha", "sigma", "log-SNR")
        panel.set(xlabel="log-SNR" if is_of_loss else "t", ylabel=label)
        panel.set_xlim(_LOG_SNR_RANGE if is_of_loss else (0.0, 1.0))
        has_wide_range = label == "sigma" and max(values.max() for _, values in curves.values()) > 2
        if has_wide_range or label == _WEIGHT:
            panel.set_yscale("log")
    axes[0].legend(frameon=False)
    return figure


def _named(schedules: Schedules) -> dict[str, PathConfig | DiffusionConfig]:
    if isinstance(schedules, Mapping):
        named = dict(schedules)
    else:
        named = {str(config.kind): config for config in schedules}
        if len(named) < len(schedules):
            kinds = ", ".join(str(config.kind) for config in schedules)
            raise ValueError(f"two configs are of one kind ({kinds}); give a mapping with names of your own")
    if not named:
        raise ValueError("there are no paths or models to draw")
    return named


def _path_curves(config: PathConfig) -> dict[str, Curve]:
    path = make_path(config)
    whole, inner = (np.linspace(end, 1.0 - end, _NUM_TIMES, dtype=np.float32) for end in (0.0, _END))
    functions: dict[str, tuple[Callable, np.ndarray]] = {
        "alpha": (path.alpha, whole),
        "sigma": (path.sigma, whole),
        "log-SNR": (path.log_snr, inner),
    }
    return {name: (t, np.asarray(function(jnp.asarray(t)))) for name, (function, t) in functions.items()}


def _weights(config: DiffusionConfig) -> Curve:
    """Of the data: w (d / sigma)^2 with d = alpha b - sigma a, as in `models.diffusion.weightings`."""
    path, prediction = make_path(config.path), make_prediction(config.prediction)

    def of_data(t: jax.Array) -> jax.Array:
        a, b = prediction.weights(path, t)
        factor = (path.alpha(t) * b - path.sigma(t) * a) / path.sigma(t)
        return weight(config.weighting, path, prediction, t) * factor**2

    ends = path.log_snr(jnp.array([path.t_max, MIN_TIME]))
    low, high = jnp.clip(ends, *_LOG_SNR_RANGE)
    log_snr = jnp.linspace(low, high, _NUM_TIMES)
    return np.asarray(log_snr), np.asarray(jax.vmap(of_data)(path.time(log_snr)))


def _density(config: DiffusionConfig) -> Curve:
    """Shares of many equally probable times in bins, as the outline of a histogram."""
    path = make_path(config.path)
    u = (jnp.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES
    log_snr = path.log_snr(jnp.clip(quantile(config.times)(u, path), MIN_TIME, path.t_max))
    counts, edges = np.histogram(log_snr, bins=_NUM_BINS, range=_LOG_SNR_RANGE)
    return np.repeat(edges, 2)[1:-1], np.repeat(counts / (_NUM_QUANTILES * np.diff(edges)), 2)
