"""Many `dstk` commands, since to start Python and import all takes half a second: python -m kit.many DIRECTORY ARGUMENTS

ARGUMENTS is a JSON list of command lines. Each runs in a process of its own, forked when all is imported and nothing is begun.
With a directory, the output of each goes into files there, named by its number; with "-" all print where this process does, and
MARK follows each.
"""

import json
import os
import sys
from pathlib import Path

from dstk_cli import main as program

MARK = b"\x1e"


def main() -> None:
    """Runs them, one after the other."""
    where, commands = sys.argv[1], json.loads(sys.argv[2])
    for number, arguments in enumerate(commands):
        child = os.fork()
        if not child:
            _run(arguments, None if where == "-" else Path(where) / str(number))
        _, status = os.waitpid(child, 0)
        if where == "-":
            os.write(1, MARK)
        else:
            (Path(where) / f"{number}.code").write_text(str(os.waitstatus_to_exitcode(status)))


def _run(arguments: list[str], output: Path | None) -> None:
    """The rest of the child's life."""
    code = 70
    try:
        for stream in (1, 2):
            if output is not None:
                os.dup2(os.open(f"{output}.{stream}", os.O_CREAT | os.O_WRONLY, 0o600), stream)
        sys.argv = ["dstk", *arguments]
        program.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
