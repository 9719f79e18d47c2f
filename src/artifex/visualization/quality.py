"""How good samples are against what they cost."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.ticker import NullFormatter, NullLocator, ScalarFormatter

from artifex.visualization.figures import NotebookFigure, plot_axes


def quality_curves(
    measured: Mapping[str, Iterable[tuple[int, float | int, float | int]]],
    *,
    measure: str,
    reference: float | None = None,
    has_log_values: bool = True,
) -> NotebookFigure:
    """A measure of samples against the number of network evaluations, one line a sampler, with standard errors.

    >>> figure = quality_curves({"ddim": [(5, 9.0, 0.2), (10, 4.0, 0.1)], "heun": [(9, 3.0, 0.1)]}, measure="distance")
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['ddim', 'heun']

    Args:
        measured: name of a sampler to its records `(num_evaluations, value, standard_error)`, in any order.
        measure: what the values are, for the axis.
        reference: a value to compare with, such as that of real examples; a dashed line.
        has_log_values: whether the axis of the values is logarithmic, too.

    Raises:
        ValueError: nothing was measured, a record is not three finite numbers of which the first is positive and the
            last not negative, or a value that is not positive has no place on a logarithmic axis.
    """
    tables = {name: _table(name, records, has_log_values) for name, records in measured.items()}
    if not tables:
        raise ValueError("nothing was measured: `measured` is empty")
    figure, (axes,) = plot_axes(560, 400)
    axes.set(xscale="log", yscale="log" if has_log_values else "linear")
    for name, table in tables.items():
        evaluations, values, errors = table.T
        axes.errorbar(evaluations, values, yerr=errors, label=name, marker="o", markersize=4, capsize=2)
    if reference is not None:
        axes.axhline(reference, color="black", linewidth=0.8, linestyle="--", label="reference")
    numbers = sorted({float(number) for table in tables.values() for number in table[:, 0]})
    axes.set_xticks(_apart(numbers))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="network evaluations", ylabel=measure)
    axes.legend(frameon=False)
    return figure


def _table(
    name: str, records: Iterable[tuple[int, float | int, float | int]], has_log_values: bool
) -> np.ndarray:
    """Records by rising number of evaluations, shape (records, 3)."""
    table = np.array([tuple(record) for record in records], np.float64)
    if table.ndim != 2 or table.shape[1] != 3 or not np.isfinite(table).all():
        raise ValueError(
            f"{name}: records must be (num_evaluations, value, standard_error), finite, and at least one"
        )
    if table[:, 0].min() <= 0 or table[:, 2].min() < 0:
        raise ValueError(f"{name}: numbers of evaluations must be positive, and standard errors not negative")
    if has_log_values and table[:, 1].min() <= 0:
        raise ValueError(
            f"{name}: {table[:, 1].min():g} has no place on a logarithmic axis; pass has_log_values=False"
        )
    return table[np.argsort(table[:, 0], kind="stable")]


def _apart(numbers: list[float]) -> list[float]:
    """Those that are at least a fifth larger than the one before, so that their labels do not touch."""
    kept: list[float] = []
    for number in numbers:
        if not kept or number >= 1.2 * kept[-1]:
            kept.append(number)
    return kept
