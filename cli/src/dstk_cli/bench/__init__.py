"""The benchmark: DSTK beside etcd, Redis, LevelDB and bare gRPC, in one run on one machine.

`model` is the report, `workload` the data, `loadgen` the closed loop that drives every system alike, `systems` the
adapters that start a system and speak to it, `cases` what is measured on which, `runner` the interleaved rounds,
`goals` the ratios that the project promises, `render` the tables. Importing this package starts nothing.
"""
