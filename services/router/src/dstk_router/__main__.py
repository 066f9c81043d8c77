"""`python -m dstk_router`: a router, or several on one port."""

import sys
from functools import partial

from dstk_router.config import RouterConfig
from dstk_router.serve import serve
from dstk_router.workers import as_worker, supervise
from dstk_service import descriptors, lifecycle, logs
from dstk_service.config import parse

WORKER = "--as-worker"
"""The variable by which the parent tells a process that it is one of several; not a setting."""

LEAST_DESCRIPTORS = 128
"""The descriptors for storage nodes, etcd, and a hundred clients."""


def main() -> None:
    """Parses the settings and runs. Exits with 2 on wrong settings, with 1 when the router cannot run."""
    descriptors.fill_standard()
    argv = [argument for argument in sys.argv[1:] if argument != WORKER]
    config = parse(RouterConfig, argv)
    logs.configure("router", config.log_level, config.log_format)
    if config.workers > 1 and config.listen.endswith(":0"):
        print("error: --listen needs a port of its own with more than one worker", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    try:
        descriptors.require(LEAST_DESCRIPTORS, "a router")
        if config.workers > 1 and WORKER not in sys.argv:
            lifecycle.run(lambda stop: supervise([*argv, WORKER], config.workers, stop))
        elif WORKER in sys.argv:
            lifecycle.run(partial(as_worker, partial(serve, config)))
        else:
            lifecycle.run(partial(serve, config))
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(1)


if __name__ == "__main__":
    main()
