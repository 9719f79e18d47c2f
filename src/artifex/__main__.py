"""`python -m artifex` is the `artifex` command."""

import sys

from artifex.cli import main

sys.exit(main())
