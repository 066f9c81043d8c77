"""The parts that all DSTK services share: settings, logs, errors, the gRPC server, start and stop."""

import os

from dstk_service.python import forget_current_directory

forget_current_directory()

# gRPC's C core writes its own lines between those of our logs, such as one for each connection that a peer closes. It reads
# this setting when it is loaded, so packages that are programs import this one first.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

# gRPC's fork support restarts its threads in a forked child, and every third child crashed in them. Our forked children open no
# channel (context.py), so fork support is off unless the environment turns it on.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
