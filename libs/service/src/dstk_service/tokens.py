"""The token of operators' calls, in a file: read by services, and made by `dstk-token FILE` where there is none.

So containers that share a volume agree on a random token, whichever of them is the first, and nobody has to hand one out.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from dstk_service import whole_files

_RANDOM_BYTES = 32


def read(file: Path) -> str:
    """The token. Raises OSError when the file cannot be read or holds none: with an empty one everybody would be let in."""
    token = file.read_text(encoding="utf-8").strip()
    if not token:
        raise OSError(
            f"the token file {str(file)!r} is empty: write a long random token into it, or run dstk-token FILE"
        )
    return token


def ensure(file: Path) -> None:
    """Makes the file, for its owner alone, unless it is there; of several at one moment one wins. Raises OSError."""
    if file.exists():
        return
    whole_files.create(file, secrets.token_urlsafe(_RANDOM_BYTES).encode() + b"\n")


def main(argv: Sequence[str] | None = None) -> int:
    """`dstk-token FILE`. Returns the exit code: 1 when the file cannot be made or holds no token."""
    parser = argparse.ArgumentParser(
        prog="dstk-token", description="Make a file with a random token unless it is there."
    )
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args(argv).file
    try:
        ensure(file)
        read(file)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - for the person who ran it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
