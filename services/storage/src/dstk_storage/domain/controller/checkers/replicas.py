"""Adds missing replicas, removes lost, leaving and surplus ones, and transfers primaries away from nodes that they leave.

A partition gets at most one step in a plan; the next plan continues.
"""

from dstk_cluster.settings import DesiredState
from dstk_keytypes import NodeId
from dstk_storage.domain.controller.analysis import AnalyzedPartition
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.plan_builder import PlanBuilder
from dstk_storage.domain.controller.text import partitions, size


def check_replicas(builder: PlanBuilder) -> None:
    """Checks all partitions, those with the fewest replicas in sync first."""
    alive = builder.analysis.alive
    ordered = sorted(
        builder.analysis.partitions,
        key=lambda each: (len(alive.intersection(each.info.in_sync)), len(each.safe), each.info.id),
    )
    for partition in ordered:
        if builder.is_free(partition):
            _check(builder, partition)
        elif not partition.led:
            _report_lost(builder, partition)


def _check(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    _report_stalled(builder, partition)
    if len(partition.staying) < partition.wanted:
        _add_missing(builder, partition)
    if builder.is_free(partition) and partition.lost:
        _remove_lost(builder, partition)
    if builder.is_free(partition) and partition.leaving:
        _remove_leaving(builder, partition)
    if builder.is_free(partition) and not partition.lost and not partition.leaving:
        _remove_surplus(builder, partition)


def _report_stalled(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    for node in partition.info.replicas:
        if builder.analysis.stalled(partition, node):
            reason = f"the primary does not hear from the replica on {node}, which is alive"
            builder.report(reason, partition.info.id, node)


def _add_missing(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    analysis, info = builder.analysis, partition.info
    targets = _targets(builder, partition)
    if not targets:
        builder.report(f"{_count(partition)}, and no node can take another one now", info.id)
        return
    causes = [analysis.why_leaving(node) for node in (*partition.leaving, *partition.lost)]
    why = "; ".join(causes) or f"the settings ask for {analysis.settings.replicas}"
    reason = f"{_count(partition)}: {why}; {_why_target(builder, partition, targets[0])}"
    builder.add(Step(Action.ADD_REPLICA, info.id, reason, node=targets[0]))


def _targets(builder: PlanBuilder, partition: AnalyzedPartition) -> list[NodeId]:
    """Nodes that can take a replica, best first: a replacement that an operator named, a zone without a replica, few bytes."""
    analysis, info = builder.analysis, partition.info
    named, refused = analysis.preferred_targets(partition), analysis.history.removed_from(info.id)
    zones = set(map(analysis.zone, partition.staying))
    able = [n for n in analysis.usable - set(info.replicas) if builder.allows(Action.ADD_REPLICA, info.id, n)]
    return sorted(able, key=lambda n: (n not in named, n == refused, analysis.zone(n) in zones, builder.stored[n], n))


def _why_target(builder: PlanBuilder, partition: AnalyzedPartition, target: NodeId) -> str:
    analysis, held = builder.analysis, size(builder.stored[target])
    if target in analysis.preferred_targets(partition):
        return f"an operator named {target} as the replacement"
    zone = analysis.zone(target)
    if zone and zone not in set(map(analysis.zone, partition.staying)):
        return f"{target} is in zone {zone!r}, which has no replica, and holds {held}"
    return f"{target} holds {held}"


def _remove_lost(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    """Removes replicas on lost nodes, once enough others are in sync.

    A node that is only gone keeps its place until there are as many as the settings ask for: if it returns, it has less to
    catch up on.
    """
    analysis = builder.analysis
    for node in partition.lost:
        removed = analysis.desired_state(node) is DesiredState.REMOVED
        enough = partition.wanted if removed else analysis.settings.replicas
        if len(partition.safe) >= enough and _is_removable(partition, node):
            reason = f"{analysis.why_leaving(node)}, and {_safe(partition)}"
            if builder.add(Step(Action.REMOVE_REPLICA, partition.info.id, reason, node=node), urgent=True):
                return


def _remove_leaving(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    """Once enough others are in sync, removes a leaving replica, or transfers the primary away if that is what leaves."""
    analysis, info = builder.analysis, partition.info
    if len(partition.safe) < partition.wanted:
        return
    removable = [node for node in partition.leaving if _is_removable(partition, node)]
    if removable:
        reason = f"{analysis.why_leaving(removable[0])}, and {_safe(partition)}"
        builder.add(Step(Action.REMOVE_REPLICA, info.id, reason, node=removable[0]), urgent=True)
    elif info.primary in partition.leaving:
        _transfer(builder, partition, analysis.why_leaving(info.primary))


def _is_removable(partition: AnalyzedPartition, node: NodeId) -> bool:
    """Never the primary; nor the last other replica in sync while there are more replicas, or no failover could happen."""
    info = partition.info
    others, rest = set(info.in_sync) - {info.primary, node}, set(info.replicas) - {info.primary, node}
    return node != info.primary and (node not in info.in_sync or bool(others) or not rest)


def _transfer(builder: PlanBuilder, partition: AnalyzedPartition, why: str) -> None:
    able, info = _successors(builder, partition), partition.info
    if not able:
        builder.report(f"{why}, but no usable node has a replica in sync to become primary", info.id, info.primary)
        return
    reason = f"{why}; {able[0]} is in sync and is the primary of {partitions(builder.primaries[able[0]])}"
    builder.add(Step(Action.TRANSFER_PRIMARY, info.id, reason, node=able[0]), urgent=True)


def _successors(builder: PlanBuilder, partition: AnalyzedPartition) -> list[NodeId]:
    """Nodes that can become primary, best first: a replacement that an operator named, few primaries, few bytes."""
    analysis, info = builder.analysis, partition.info
    named = analysis.preferred_targets(partition)
    others = analysis.usable.intersection(info.in_sync) - {info.primary}
    able = [node for node in others if builder.allows(Action.TRANSFER_PRIMARY, info.id, node)]
    return sorted(able, key=lambda n: (n not in named, builder.primaries[n], builder.stored[n], n))


def _remove_surplus(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    """Only when all replicas are in sync: until then it is open which of them is the one to keep."""
    analysis, info = builder.analysis, partition.info
    surplus = analysis.surplus(partition)
    if surplus is None or not partition.whole:
        return
    why = f"{len(partition.staying)} replicas, and the settings ask for {analysis.settings.replicas}"
    if surplus == info.primary:
        _transfer(builder, partition, f"{why}; {surplus} has been replaced")
    else:
        reason = f"{why}; {surplus} holds {size(analysis.stored[surplus])}"
        builder.add(Step(Action.REMOVE_REPLICA, info.id, reason, node=surplus), urgent=True)


def _report_lost(builder: PlanBuilder, partition: AnalyzedPartition) -> None:
    """Reports a partition without a primary, unless a living replica is in sync: that one takes over by itself."""
    analysis, info = builder.analysis, partition.info
    if info.primary not in analysis.lost or analysis.alive.intersection(info.in_sync):
        return
    if len(info.replicas) == 1:
        lost = f"its only replica is on {info.primary}"
    else:
        lost = f"all its replicas in sync were on {', '.join(sorted(info.in_sync))}"
    reason = (
        f"{lost}, and {analysis.why_leaving(info.primary)}. The controller does not place it elsewhere, because that would "
        f"lose data: start {info.primary} again, or accept lost writes with ForcePrimary"
    )
    builder.report(reason, info.id, info.primary)


def _count(partition: AnalyzedPartition) -> str:
    return f"{len(partition.staying)} of {partition.wanted} replicas"


def _safe(partition: AnalyzedPartition) -> str:
    return f"{len(partition.safe)} others are in sync ({partition.wanted} wanted)"
