"""The environment of the processes that the command line starts: what they are meant to get, and nothing else of the caller's.

Both etcd and Python take orders from the environment: ETCD_NAME of another cluster, PYTHONPATH of another program, or
GRPC_TRACE of a debugging session would reach them through whoever types `dstk local up`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import dstk_cli

_PASSED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TZ|TMPDIR|LANG|LANGUAGE|LC_[A-Z]+"
    r"|LD_[A-Z_]+|DYLD_[A-Z_]+|MALLOC_[A-Z_]+|GLIBC_TUNABLES|FAKETIME\w*"  # the loader's and the allocator's
    r"|ETCD_UNSUPPORTED_ARCH"  # without it etcd does not start on some machines
    r"|DSTK_(LOG_LEVEL|LOG_FORMAT|[A-Z_]+_(BYTES|SECONDS|RECORDS|WRITES))"
)
"""Names that pass. Of our own: how much and how long, which a node may be told this way; never who it is and where."""

_OURS = {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
"""What a child starts in turn finds nothing in its current directory, either; whatever the locale, text is UTF-8; and logs hold
what was said before a crash, in its order.
"""


def of_children(caller: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child of a process that has `caller`."""
    passed = {name: value for name, value in caller.items() if _PASSED.fullmatch(name)}
    return {**passed, **_where_we_are(caller), **_OURS}


def _where_we_are(caller: Mapping[str, str]) -> dict[str, str]:
    """PYTHONPATH with the directory of our own packages, when that is how this process found them (`pip install --target`)."""
    home = Path(dstk_cli.__file__).resolve().parents[1]
    named = filter(None, caller.get("PYTHONPATH", "").split(os.pathsep))
    return {"PYTHONPATH": str(home)} if any(Path(place).resolve() == home for place in named) else {}
