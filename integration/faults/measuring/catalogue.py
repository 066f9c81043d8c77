"""All measurements, in the order in which they run."""

from faults.measuring import changes, copying, etcd_away, failover, restarts
from faults.measuring.model import Measurement

ALL = {
    each.name: each
    for each in (
        Measurement(failover.NAME, "a node that leads is killed, until writes go on", failover.measure),
        Measurement(etcd_away.NAME, "etcd is killed and stays away", etcd_away.measure),
        Measurement(restarts.NAME, "all nodes are restarted in turn", restarts.measure),
        Measurement(changes.NAME, "transfers, splits, merges and moves", changes.measure),
        Measurement(copying.NAME, "a replica of a large partition is rebuilt", copying.measure),
    )
}
