"""A file written through `atomic_path` is whole or absent."""

import pytest

from artifex.utils.files import atomic_path, check_can_write


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


def test_an_error_of_the_system_names_the_file_that_people_know(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(IsADirectoryError) as caught, atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    check_can_write(tmp_path / "new" / "a.txt")
    check_can_write(tmp_path / "file")
    check_can_write(tmp_path, is_folder=True)
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        check_can_write(tmp_path)
    for path, is_folder in (("file", True), ("file/run", True), ("file/a.txt", False)):
        with pytest.raises(NotADirectoryError, match=r"file is a file\."):
            check_can_write(tmp_path / path, is_folder=is_folder)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write wherever the mode says no
    with pytest.raises(PermissionError, match="does not allow it"):
        check_can_write(tmp_path / "new" / "a.txt")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
