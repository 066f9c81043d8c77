"""What can be wrong with nodes, and with the controller. Pure."""

from collections.abc import Iterator

from dstk.v1 import admin_pb2
from dstk_cli.data import values
from dstk_cli.doctor.facts import Facts, Finding, Severity, named
from dstk_cli.operate.replication import held_by
from dstk_cli.operate.view import has_told

LOW_DISK = 0.1
"""Share of the capacity that should be free."""
CLOCKS_APART_S = 1.0


def presence(facts: Facts) -> Iterator[Finding]:
    """Every node that has replicas is alive and answers."""
    for node in facts.nodes:
        name = node.node.id
        if node.alive and not has_told(node):
            yield Finding(Severity.ERROR, "node_silent", "is registered but does not answer", name, "dstk nodes")
        if node.alive:
            continue
        if held := held_by(facts.second.entries, name):
            what = f"is gone, and has replicas of {named(entry.id for entry in held)}: start it again, or give it up"
            yield Finding(Severity.ERROR, "node_gone", what, name, f"dstk nodes remove {name}")


def disks(facts: Facts) -> Iterator[Finding]:
    """Every node has room."""
    for node in filter(has_told, facts.nodes):
        free, capacity, name = node.free_bytes, node.node.capacity_bytes, node.node.id
        room = f"{values.size(free)} of {values.size(capacity)} are free" if capacity else f"{values.size(free)} free"
        if node.read_only:
            what = f"refuses writes, its disk is full or failing: {room}"
            yield Finding(Severity.ERROR, "read_only", what, name, f"dstk nodes drain {name}")
        elif capacity and free < LOW_DISK * capacity:
            what = f"is low on disk: {room}"
            yield Finding(Severity.WARNING, "low_disk", what, name, f"dstk nodes cordon {name}")


def clocks(facts: Facts) -> Iterator[Finding]:
    """Wall clocks agree: expiry goes by them. They were read while the nodes were asked, which took its time too."""
    told = [node for node in facts.nodes if node.clock_ms and has_told(node)]
    if not told:
        return
    slow, fast = (pick(told, key=lambda node: node.clock_ms) for pick in (min, max))
    apart = (fast.clock_ms - slow.clock_ms) / 1000
    if apart > CLOCKS_APART_S + facts.nodes_took_s:
        what = f"{fast.node.id}'s wall clock is {apart:.1f} s ahead of {slow.node.id}'s: records expire by them"
        yield Finding(Severity.WARNING, "clocks_apart", what, f"{slow.node.id}, {fast.node.id}", "dstk nodes -o json")


def etcd(facts: Facts) -> Iterator[Finding]:
    """Every node reaches etcd."""
    for node in filter(has_told, facts.nodes):
        if not node.etcd_reachable:
            what = "does not reach etcd: what it has it serves, but it can take part in no change of the map"
            yield Finding(Severity.ERROR, "no_etcd", what, node.node.id, "dstk nodes")


def versions(facts: Facts) -> Iterator[Finding]:
    """All nodes run the same software."""
    found: dict[str, list[str]] = {}
    for node in facts.nodes:
        if node.alive and node.node.version:
            found.setdefault(node.node.version, []).append(node.node.id)
    if len(found) > 1:
        what = "; ".join(f"{version}: {', '.join(names)}" for version, names in sorted(found.items()))
        yield Finding(Severity.WARNING, "mixed_versions", f"nodes differ in software: {what}", "nodes", "dstk nodes")


def wishes(facts: Facts) -> Iterator[Finding]:
    """No wish has been forgotten."""
    for node in facts.nodes:
        name, held = node.node.id, held_by(facts.second.entries, node.node.id)
        match node.wish:
            case admin_pb2.NODE_WISH_CORDONED:
                what = "is cordoned: it is given nothing new"
                yield Finding(Severity.NOTE, "cordoned", what, name, f"dstk nodes uncordon {name}")
            case admin_pb2.NODE_WISH_DRAINED if held:
                what = f"is being drained: {len(held)} replicas are left on it"
                yield Finding(Severity.NOTE, "draining", what, name, f"dstk nodes drain {name} --wait")
            case admin_pb2.NODE_WISH_DRAINED | admin_pb2.NODE_WISH_REMOVED if not held:
                state = "and still runs" if node.alive else "and is gone, as it should be"
                what = f"has been emptied {state}: the wish is only kept"
                yield Finding(Severity.NOTE, "emptied", what, name, f"dstk nodes uncordon {name}")


def controller(facts: Facts) -> Iterator[Finding]:
    """There is a controller, and it is at work."""
    answer = facts.controller
    if answer is None:
        what = f"cannot be asked: {facts.controller_trouble}"
        yield Finding(Severity.ERROR, "controller_unknown", what, "controller", "dstk controller status")
        return
    if not answer.leader:
        what = "nobody is the controller: nothing is made anew, drained or balanced"
        yield Finding(Severity.ERROR, "no_controller", what, "controller", "dstk controller status")
    if answer.settings.paused:
        what = f"is paused; it would do {len(answer.plan)} step{'' if len(answer.plan) == 1 else 's'}"
        yield Finding(Severity.WARNING, "controller_paused", what, "controller", "dstk controller resume")
