"""The environment of the processes of a local cluster: what they need, and nothing else of the caller's; and programs on PATH.

Both etcd and Python obey the environment: ETCD_NAME of another cluster, PYTHONPATH of another program, or GRPC_TRACE of a
debugging session would reach them through whoever types `dstk local up`.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

_PASSED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TZ|TMPDIR|LANG|LANGUAGE|LC_[A-Z]+"
    r"|LD_[A-Z_]+|DYLD_[A-Z_]+|MALLOC_[A-Z_]+|GLIBC_TUNABLES|FAKETIME\w*"  # the loader's and the allocator's
    r"|ETCD_UNSUPPORTED_ARCH"  # without it etcd does not start on some machines
    r"|DSTK_(LOG_[A-Z]+|[A-Z_]+_(BYTES|SECONDS|RECORDS|WRITES))"
)
"""Names that pass. Of our own: limits and durations of a node; never its identity or its addresses."""

_OURS = {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
"""A child's own children import nothing from the current directory; text is UTF-8 whatever the locale; logs hold what was
written before a crash, in order.
"""


def child_environment(caller: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the environment for a child of a process that has `caller`."""
    passed = {name: value for name, value in caller.items() if _PASSED.fullmatch(name)}
    return {**passed, **_own_packages(caller), **_OURS}


def on_path(name: str) -> str | None:
    """Returns the path of a program on PATH. Ignores entries that mean the current directory (".", or an empty one)."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(filter(os.path.isabs, places)))


def _own_packages(caller: Mapping[str, str]) -> dict[str, str]:
    """PYTHONPATH with the directory of our packages, if this process found them there (`pip install --target`)."""
    home = Path(__file__).resolve().parents[1]
    named = filter(None, caller.get("PYTHONPATH", "").split(os.pathsep))
    return {"PYTHONPATH": str(home)} if any(Path(place).resolve() == home for place in named) else {}
