"""The Python of the README runs as it stands; its commands are run by `.ci/run`."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_python_snippets_run(tmp_path):
    """One after the other in one interpreter, as a reader would paste them."""
    assert SNIPPETS
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(SNIPPETS)],
        cwd=tmp_path,
        env={**os.environ, "XLA_FLAGS": ""},  # one device, as users have
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
