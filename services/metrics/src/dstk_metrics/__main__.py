"""`python -m dstk_metrics`: a metrics service."""

import sys
from functools import partial

from dstk_metrics import __version__
from dstk_metrics.config import MetricsConfig
from dstk_metrics.serve import serve
from dstk_service import descriptors, lifecycle, logs
from dstk_service.config import parse
from dstk_telemetry.sentry import ErrorReports

LEAST_DESCRIPTORS = 256
"""For a hundred storage nodes, etcd, the history, and a hundred clients."""


def main() -> None:
    """Parses the settings and runs. Exits with 2 on wrong settings, with 1 when the service cannot run."""
    descriptors.fill_standard()
    config = parse(MetricsConfig, sys.argv[1:])
    logs.configure("metrics", __version__, config.log_level, config.log_format, show_keys=config.log_keys)
    logs.identify(node=config.listen, cluster=config.cluster)
    with ErrorReports(config.sentry_dsn.get_secret_value(), "metrics", __version__) as reports:
        try:
            descriptors.require(LEAST_DESCRIPTORS, "a metrics service")
            lifecycle.run(partial(serve, config, reports=reports))
        except OSError as error:
            logs.report(error)
            sys.exit(1)


if __name__ == "__main__":
    main()
