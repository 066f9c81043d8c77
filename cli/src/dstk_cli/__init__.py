"""The `dstk` command: a local cluster, data, operators' commands."""

import os

import dstk_service as dstk_service
from dstk_cli.terminal import forget_impossible_sizes

forget_impossible_sizes(os.environ)
