"""`dstk demo`: a whole cluster, real data, a crash, and every claim checked in front of the viewer."""
