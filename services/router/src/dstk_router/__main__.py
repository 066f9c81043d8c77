"""`python -m dstk_router`: a router, or several on one port."""

import sys
from collections.abc import Sequence
from functools import partial

from dstk_router import __version__
from dstk_router.config import RouterConfig
from dstk_router.serve import serve
from dstk_router.workers import WORKER, as_worker, operations_address, supervise
from dstk_service import descriptors, lifecycle, logs
from dstk_service.addresses import MAX_PORT
from dstk_service.config import parse
from dstk_telemetry.sentry import ErrorReports

LEAST_DESCRIPTORS = 128
"""The descriptors for storage nodes, etcd, and a hundred clients."""


def main() -> None:
    """Parses the settings and runs. Exits with 2 on wrong settings, with 1 when the router cannot run."""
    descriptors.fill_standard()
    argv = [argument for argument in sys.argv[1:] if not argument.startswith(WORKER)]
    numbers = [int(argument.removeprefix(WORKER)) for argument in sys.argv[1:] if argument.startswith(WORKER)]
    config = parse(RouterConfig, argv)
    logs.configure("router", __version__, config.log_level, config.log_format, show_keys=config.log_keys)
    logs.identify(node=config.listen, cluster=config.cluster)
    _check_ports(config)
    with ErrorReports(config.sentry_dsn.get_secret_value(), "router", __version__) as reports:
        _run(config, argv, numbers, reports)


def _run(config: RouterConfig, argv: Sequence[str], numbers: Sequence[int], reports: ErrorReports) -> None:
    try:
        descriptors.require(LEAST_DESCRIPTORS, "a router")
        if numbers:
            own = {"operations_listen": operations_address(config.operations_listen, numbers[0])}
            service = partial(serve, config.model_copy(update=own), reports=reports)
            lifecycle.run(partial(as_worker, service))
        elif config.workers > 1:
            lifecycle.run(lambda stop: supervise(argv, config.workers, stop))
        else:
            lifecycle.run(partial(serve, config, reports=reports))
    except OSError as error:
        logs.report(error)
        sys.exit(1)


def _check_ports(config: RouterConfig) -> None:
    """Exits with 2 if the workers cannot share, or divide, the ports that they need."""
    last = operations_address(config.operations_listen, config.workers - 1).rpartition(":")[2]
    problem = ""
    if config.workers > 1 and config.listen.endswith(":0"):
        problem = "--listen needs a port of its own with more than one worker"
    elif last.isdecimal() and int(last) > MAX_PORT:
        problem = (
            f"--operations-listen is {config.operations_listen!r}: {config.workers} workers need ports up to {last}"
        )
    if problem:
        logs.report(problem)
        sys.exit(2)


if __name__ == "__main__":
    main()
