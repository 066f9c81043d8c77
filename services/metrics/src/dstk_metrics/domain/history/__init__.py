"""The history: what all partitions did in the last five weeks, coarser the longer ago, and its picture as a matrix.

`minutes` makes slots of slices, `tiers` says which slots become one, `join` and `coarsen` do that, `columns` and `matrix` draw.
The design is that of TiDB's Key Visualizer (pingcap/tidb-dashboard, pkg/keyvisual); the code is ours.
"""
