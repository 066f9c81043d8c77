"""Many `dstk` commands in one process, since to start one takes half a second: python -m kit.many DIRECTORY ARGUMENTS...

ARGUMENTS is a JSON list of command lines. With a directory, the output of each goes into files there, named by its number; with
"-" all print where this process does, and MARK follows each. Its own exit code is 0.
"""

import json
import os
import sys
from pathlib import Path

from dstk_cli.main import app

MARK = b"\x1e"


def main() -> None:
    """Runs them, one after the other."""
    where, commands = sys.argv[1], json.loads(sys.argv[2])
    streams = [os.dup(1), os.dup(2)]
    for number, arguments in enumerate(commands):
        if where != "-":
            for stream in (1, 2):
                os.dup2(os.open(Path(where) / f"{number}.{stream}", os.O_CREAT | os.O_WRONLY, 0o600), stream)
        code = _run(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        if where == "-":
            os.write(1, MARK)
        else:
            (Path(where) / f"{number}.code").write_text(str(code))
            for stream, original in enumerate(streams, 1):
                os.dup2(original, stream)


def _run(arguments: list[str]) -> int:
    try:
        app(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


if __name__ == "__main__":
    main()
