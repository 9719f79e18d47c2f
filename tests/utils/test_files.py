"""A file written through `atomic_path` is whole or absent."""

import pytest

from artifex.utils.files import atomic_path


def test_writes_the_whole_file_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [item.name for item in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_before_anything_is_written_is_not_hidden(tmp_path):
    with pytest.raises(RuntimeError, match="early"), atomic_path(tmp_path / "a.txt"):
        raise RuntimeError("early")
