"""The benchmark: DSTK beside etcd, Redis, LevelDB and bare gRPC, in one run on one machine.

- `command`: the command line.
- `runner`: starts the systems and measures each case in interleaved rounds.
- `cases`, `workload`, `loadgen`: what is measured, with which data, and the closed loop that drives every system.
- `systems`: one adapter per system; it starts the system and calls it.
- `model`, `goals`, `render`, `document`: the report, the promised ratios, the tables, the page in docs/.

Importing this package starts nothing.
"""

import dstk_cli as dstk_cli  # first: it keeps the current directory out of the import path
