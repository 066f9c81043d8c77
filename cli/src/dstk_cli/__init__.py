"""The `dstk` command: a local cluster, data, operators' commands, demo, benchmark."""

import dstk_service as dstk_service
