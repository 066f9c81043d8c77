"""What every DSTK service does alike: settings, logs, errors, the gRPC server, start and stop."""

import os

from dstk_service.python import forget_current_directory

forget_current_directory()

# gRPC's C core writes lines of its own between those of our logs, such as one for each connection that a peer gives up. It
# looks at this when it is loaded, so packages that are programs import this one first.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
