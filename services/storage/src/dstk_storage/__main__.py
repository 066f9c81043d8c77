"""`python -m dstk_storage`: a storage node."""

import sys
from functools import partial

from dstk_cluster.membership import NodeIdTaken
from dstk_service import descriptors, lifecycle, logs
from dstk_service.config import parse
from dstk_storage import __version__
from dstk_storage.adapters.datadir import DataDirError
from dstk_storage.config import StorageConfig
from dstk_storage.ports import EngineError
from dstk_storage.serve import serve
from dstk_telemetry.sentry import ErrorReports

LEAST_DESCRIPTORS = 256
"""For LevelDB's files (it maps tables, and reopens those beyond its share), the other nodes, etcd, and a hundred clients."""


def main() -> None:
    """Parses the settings and runs the node. Exits with 2 on wrong settings, with 1 when the node cannot run."""
    descriptors.fill_standard()
    config = parse(StorageConfig, sys.argv[1:])
    logs.configure("storage", __version__, config.log_level, config.log_format, show_keys=config.log_keys)
    with ErrorReports(config.sentry_dsn.get_secret_value(), "storage", __version__) as reports:
        _run(config, reports)


def _run(config: StorageConfig, reports: ErrorReports) -> None:
    try:
        descriptors.require(LEAST_DESCRIPTORS, "a storage node")
        lifecycle.run(partial(serve, config, reports=reports))
    except* (DataDirError, NodeIdTaken, EngineError, OSError) as group:
        for error in group.exceptions:
            logs.report(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
