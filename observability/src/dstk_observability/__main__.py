"""`python -m dstk_observability ROOT` writes the files; `--check` names those that are stale, and fails if there are any."""

import argparse
import sys
from pathlib import Path

from dstk_observability.artifacts import generate, stale


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="dstk_observability", description=__doc__)
    parser.add_argument("root", type=Path, help="the repository")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is stale")
    given = parser.parse_args()
    if not given.check:
        generate(given.root)
        return 0
    found = list(stale(given.root))
    for path in found:
        sys.stderr.write(f"{path} differs from the registry: run 'make generate'\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
