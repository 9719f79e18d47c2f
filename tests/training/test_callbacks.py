"""The progress bar. What the other callbacks do to a run is tested with `fit`."""

import importlib
import sys
import types
import warnings

import pytest
from tqdm import TqdmWarning

from artifex.generative_models.training import callbacks

CHOOSERS = ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook")


@pytest.fixture
def notebook(monkeypatch):
    """What tqdm takes for a notebook, without ipywidgets."""
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", types.ModuleType("ipykernel.zmqshell"))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    for name in CHOOSERS:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_notebooks_without_widgets_get_a_bar_of_text_and_no_warning(notebook):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        bar = callbacks._bar_class()
    assert bar.__module__ == "tqdm.std" and not heard
    with pytest.warns(TqdmWarning, match="IProgress not found"):  # what it spares people
        importlib.import_module("tqdm.auto")


def test_with_widgets_tqdm_chooses(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert callbacks._bar_class() is importlib.import_module("tqdm.auto").tqdm
