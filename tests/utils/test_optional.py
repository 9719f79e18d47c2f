"""A missing extra is named, with the command that installs it."""

import sys

import pytest

from artifex.utils.optional import MissingExtraError, require


def test_what_is_there_is_imported():
    assert require("json", extra="audio", purpose="to read JSON").dumps([1]) == "[1]"


def test_a_missing_extra_says_what_to_install():
    with pytest.raises(MissingExtraError, match=r"to read audio: pip install 'artifex\[audio\]'"):
        require("artifex_no_such_package.io", extra="audio", purpose="to read audio")


def test_a_package_that_fails_inside_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "optional_test_broken.py").write_text("import artifex_no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="artifex_no_such_package") as caught:
        require("optional_test_broken", extra="audio", purpose="to read audio")
    assert not isinstance(caught.value, MissingExtraError)
    sys.modules.pop("optional_test_broken", None)
