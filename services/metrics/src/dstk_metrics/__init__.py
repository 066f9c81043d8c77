"""The metrics service: what every partition does, where the cluster is hot, how large a range is; and the console."""

import dstk_service as dstk_service

__version__ = "0.1.0"
