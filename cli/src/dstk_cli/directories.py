"""The data directory of a local cluster, as the command line names it."""

import os
import shlex
from pathlib import Path

DATA_DIR_VARIABLE = "DSTK_DATA_DIR"
DEFAULT_DATA_DIR = Path(".dstk")


def data_dir_option(root: Path) -> str:
    """Returns what to append to a `dstk` command line so that it means this directory; empty when it is the default."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the current directory was removed: there is no default
        return f" --data-dir {shlex.quote(str(root))}"
    default = here / (os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
    shown = root.relative_to(here) if root.is_relative_to(here) else root
    return "" if root == default else f" --data-dir {shlex.quote(str(shown))}"
