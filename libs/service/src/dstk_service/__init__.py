"""What every DSTK service does alike: settings, logs, errors, the gRPC server, start and stop."""

import os

from dstk_service.python import forget_current_directory

forget_current_directory()

# gRPC's C core writes lines of its own between those of our logs, such as one for each connection that a peer gives up. It
# looks at this when it is loaded, so packages that are programs import this one first.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

# Its support for forks begins its threads again in a forked child, and every third child crashed in them. Ours open no channel
# (see context.py), so it is off unless somebody asks for it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
