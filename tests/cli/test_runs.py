"""Names of run folders."""

import pytest

from artifex.cli.runs import fresh_run_dir, newest_run_dir


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """An empty working folder; gives a function that makes run folders in it."""
    monkeypatch.chdir(tmp_path)

    def make(*names, is_run=True):
        for name in names:
            folder = tmp_path / "runs" / name
            folder.mkdir(parents=True)
            if is_run:
                (folder / "config.yaml").touch()

    return make


def test_first_free_name_is_chosen(runs):
    assert str(fresh_run_dir("a")) == "runs/a"
    runs("a", "a-2", "a-4")
    assert str(fresh_run_dir("a")) == "runs/a-3"
    assert str(fresh_run_dir("b")) == "runs/b"


def test_newest_is_the_highest_number_that_holds_a_run(runs):
    assert newest_run_dir("a") is None
    runs("a", "a-2", "a-10", "ab", "a-b", "a-1", "a.b-20")
    runs("a-11", is_run=False)
    assert str(newest_run_dir("a")) == "runs/a-10"
    assert str(newest_run_dir("ab")) == "runs/ab"
    assert newest_run_dir("c") is None
