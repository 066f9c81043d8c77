"""Checks of nodes and of the controller. Pure."""

from collections.abc import Iterator

from dstk.v1 import admin_pb2
from dstk_doctor.facts import Facts, Finding, Severity, named
from dstk_doctor.replication import has_answered, held_by
from dstk_service import figures

LOW_DISK = 0.1
"""Share of the capacity that should be free."""
CLOCKS_APART_S = 1.0


def presence(facts: Facts) -> Iterator[Finding]:
    """Every node that has replicas is alive and answers."""
    for node in facts.nodes:
        name = node.node.id
        if node.alive and not has_answered(node):
            yield Finding(Severity.ERROR, "node_silent", "is registered but does not answer", name, "dstk nodes")
        if node.alive:
            continue
        if held := held_by(facts.second.entries, name):
            what = f"is gone, and has replicas of {named(entry.id for entry in held)}: start it again, or give it up"
            yield Finding(Severity.ERROR, "node_gone", what, name, f"dstk nodes remove {name}")


def disks(facts: Facts) -> Iterator[Finding]:
    """Every node has free disk space."""
    for node in filter(has_answered, facts.nodes):
        what, run = _trouble(node, can_drain=_has_roomy_others(facts, node))
        if node.read_only:
            yield Finding(Severity.ERROR, "read_only", what, node.node.id, run)
        elif _is_low(node):
            yield Finding(Severity.WARNING, "low_disk", what, node.node.id, run)


def _trouble(node: admin_pb2.NodeStatus, *, can_drain: bool) -> tuple[str, str]:
    """Returns the problem of a node's disk with a fix, and the command that applies it or shows more."""
    free, reserve, name = node.free_bytes, node.disk_reserve_bytes, node.node.id
    capacity = f" of {figures.size(node.node.capacity_bytes)}" if node.node.capacity_bytes else ""
    room = f"{figures.size(free)}{capacity} are free"
    drain = f"dstk nodes drain {name}"
    if node.read_only and free >= reserve * 5 // 4:
        return f"refuses writes, for one has failed: is its disk broken? {room}", drain if can_drain else "dstk nodes"
    is_full = "is low on disk"
    if node.read_only:
        is_full = "its disk is full: it takes deletions and expiry alone"
    if node.read_only and not node.takes_deletions:
        is_full = "its disk is full: it does not even take deletions"
        if not can_drain:
            what = f"{is_full}; {room}, and it keeps {figures.size(reserve)}: free space on it by other means, or enlarge it"
            return what, "dstk nodes"
    keeps = f", and it keeps {figures.size(reserve)}" if reserve else ""
    if can_drain:
        return f"{is_full}; {room}{keeps}: other nodes have room for what it holds", drain
    return f"{is_full}; {room}{keeps}: delete data, add a node, or enlarge the disk", f"dstk nodes compact {name}"


def _is_low(node: admin_pb2.NodeStatus) -> bool:
    return node.node.capacity_bytes > 0 and node.free_bytes < LOW_DISK * node.node.capacity_bytes


def _has_roomy_others(facts: Facts, node: admin_pb2.NodeStatus) -> bool:
    """Whether draining the node can finish: enough other nodes accept replicas and have free space."""
    others = [each for each in facts.nodes if each.node.id != node.node.id and has_answered(each)]
    active = (each for each in others if each.desired_state == admin_pb2.DESIRED_STATE_ACTIVE)
    usable = [each for each in active if not each.read_only and not _is_low(each)]
    most = max((len(entry.replicas) for entry in held_by(facts.second.entries, node.node.id)), default=1)
    return len(usable) >= max(most, facts.wanted)


def clocks(facts: Facts) -> Iterator[Finding]:
    """Wall clocks agree, since expiry uses them. The time that the calls took is allowed for."""
    told = [node for node in facts.nodes if node.clock_ms and has_answered(node)]
    if not told:
        return
    slow, fast = (pick(told, key=lambda node: node.clock_ms) for pick in (min, max))
    apart = (fast.clock_ms - slow.clock_ms) / 1000
    if apart > CLOCKS_APART_S + facts.nodes_took_s:
        what = f"{fast.node.id}'s wall clock is {apart:.1f} s ahead of {slow.node.id}'s: records expire by them"
        yield Finding(Severity.WARNING, "clocks_apart", what, f"{slow.node.id}, {fast.node.id}", "dstk nodes -o json")


def etcd(facts: Facts) -> Iterator[Finding]:
    """Every node reaches etcd."""
    for node in filter(has_answered, facts.nodes):
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


def desired_states(facts: Facts) -> Iterator[Finding]:
    """Every node is active; a forgotten cordon or drain is a note."""
    for node in facts.nodes:
        name, held = node.node.id, held_by(facts.second.entries, node.node.id)
        match node.desired_state:
            case admin_pb2.DESIRED_STATE_CORDONED:
                what = "is cordoned: it receives no new replicas"
                yield Finding(Severity.NOTE, "cordoned", what, name, f"dstk nodes uncordon {name}")
            case admin_pb2.DESIRED_STATE_DRAINED if held:
                what = f"is being drained: {len(held)} replicas are left on it"
                yield Finding(Severity.NOTE, "draining", what, name, f"dstk nodes drain {name} --wait")
            case admin_pb2.DESIRED_STATE_DRAINED | admin_pb2.DESIRED_STATE_REMOVED if not held:
                state = "and still runs" if node.alive else "and is gone, as it should be"
                what = f"holds no replica {state}; its desired state is still set"
                yield Finding(Severity.NOTE, "emptied", what, name, f"dstk nodes uncordon {name}")


def controller(facts: Facts) -> Iterator[Finding]:
    """A node is the controller, and it is not paused."""
    answer = facts.controller
    if answer is None:
        what = f"does not answer: {facts.controller_trouble}"
        yield Finding(Severity.ERROR, "controller_unknown", what, "controller", "dstk controller status")
        return
    if not answer.leader:
        what = "no node is the controller: nothing is rebuilt, drained or balanced"
        yield Finding(Severity.ERROR, "no_controller", what, "controller", "dstk controller status")
    if answer.settings.paused:
        steps = sum(step.state != admin_pb2.STEP_STATE_BLOCKED for step in answer.plan)
        what = f"is paused; its plan has {steps} step{'' if steps == 1 else 's'}"
        yield Finding(Severity.WARNING, "controller_paused", what, "controller", "dstk controller resume")
