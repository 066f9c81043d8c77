"""Partitions that have too few replicas, too many, or such as are to go. Each gets at most one step; the next look sees to
the next one.
"""

from dstk_cluster.settings import DesiredState
from dstk_keytypes import NodeId
from dstk_storage.domain.controller.draft import Draft
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.survey import Standing


def mend(draft: Draft) -> None:
    """All partitions, those with the fewest replicas in sync first."""
    alive = draft.survey.alive
    standings = sorted(
        draft.survey.standings,
        key=lambda s: (len(alive.intersection(s.info.in_sync)), len(s.safe), s.info.id),
    )
    for standing in standings:
        if draft.is_free(standing):
            _mend(draft, standing)
        elif not standing.led:
            _report(draft, standing)


def new_homes(draft: Draft, standing: Standing) -> list[NodeId]:
    """Nodes that could take a replica, best first: the replacement that an operator named, one in a zone without a replica,
    the one with the fewest bytes.
    """
    survey, info = draft.survey, standing.info
    named, emptied = survey.replacements(standing), survey.memory.emptied(info.id)
    zones = set(map(survey.zone, standing.staying))
    able = [n for n in survey.usable - set(info.replicas) if draft.may(Action.ADD_REPLICA, info.id, n)]
    return sorted(able, key=lambda n: (n not in named, n == emptied, survey.zone(n) in zones, draft.weights[n], n))


def heirs(draft: Draft, standing: Standing) -> list[NodeId]:
    """Nodes that could be its primary, best first."""
    survey, info = draft.survey, standing.info
    named = survey.replacements(standing)
    others = survey.usable.intersection(info.in_sync) - {info.primary}
    able = [node for node in others if draft.may(Action.SWITCH_PRIMARY, info.id, node)]
    return sorted(able, key=lambda n: (n not in named, draft.primaries[n], draft.weights[n], n))


def _mend(draft: Draft, standing: Standing) -> None:
    for node in standing.info.replicas:
        if draft.survey.stalled(standing, node):
            draft.find(standing, node, f"its primary has not heard of the replica on {node}, which is alive")
    if len(standing.staying) < standing.wanted:
        _add(draft, standing)
    if draft.is_free(standing) and standing.lost:
        _drop_lost(draft, standing)
    if draft.is_free(standing) and standing.leaving:
        _empty(draft, standing)
    if draft.is_free(standing) and not standing.lost and not standing.leaving:
        _drop_surplus(draft, standing)


def _add(draft: Draft, standing: Standing) -> None:
    survey, info = draft.survey, standing.info
    homes = new_homes(draft, standing)
    if not homes:
        draft.find(standing, None, f"{_count(standing)}, and no node can be given one now")
        return
    home = homes[0]
    causes = [survey.because(node) for node in (*standing.leaving, *standing.lost)]
    why = "; ".join(causes) or f"the settings ask for {survey.settings.replicas}"
    reason = f"{_count(standing)}: {why}. {home} {_merit(draft, standing, home)}"
    draft.take(Step(Action.ADD_REPLICA, info.id, reason, node=home))


def _drop_lost(draft: Draft, standing: Standing) -> None:
    """A node that is only gone keeps its place until others have taken it: if it comes back, it has less to catch up on."""
    survey = draft.survey
    for node in standing.lost:
        enough = (
            standing.wanted if survey.spec(node).desired_state is DesiredState.REMOVED else survey.settings.replicas
        )
        if len(standing.safe) >= enough and _is_removable(standing, node):
            reason = f"{survey.because(node)}, and {_safe(standing)}"
            if draft.take(Step(Action.REMOVE_REPLICA, standing.info.id, reason, node=node), urgent=True):
                return


def _empty(draft: Draft, standing: Standing) -> None:
    """Once enough others have everything: hands the partition over, then removes the replica."""
    survey, info = draft.survey, standing.info
    if len(standing.safe) < standing.wanted:
        return
    removable = [node for node in standing.leaving if _is_removable(standing, node)]
    if removable:
        reason = f"{survey.because(removable[0])}, and {_safe(standing)}"
        draft.take(Step(Action.REMOVE_REPLICA, info.id, reason, node=removable[0]), urgent=True)
    elif info.primary in standing.leaving:
        _hand_over(draft, standing, survey.because(info.primary))


def _is_removable(standing: Standing, node: NodeId) -> bool:
    """Never the primary, and not the last other one in sync while there are more: it could not be taken over then."""
    info = standing.info
    others, rest = set(info.in_sync) - {info.primary, node}, set(info.replicas) - {info.primary, node}
    return node != info.primary and (node not in info.in_sync or bool(others) or not rest)


def _hand_over(draft: Draft, standing: Standing, why: str) -> None:
    able = heirs(draft, standing)
    if not able:
        draft.find(standing, standing.info.primary, f"{why}, but no usable node has a replica in sync to take over")
        return
    reason = f"{why}; {able[0]} is in sync, and is the primary of {draft.primaries[able[0]]} partitions"
    draft.take(Step(Action.SWITCH_PRIMARY, standing.info.id, reason, node=able[0]), urgent=True)


def _drop_surplus(draft: Draft, standing: Standing) -> None:
    """Only when all are in sync: until then one that has everything must not go, and one that has not may be the better."""
    survey, info = draft.survey, standing.info
    surplus = survey.surplus(standing)
    if surplus is None or not standing.whole:
        return
    why = f"{len(standing.staying)} replicas, and {survey.settings.replicas} are wanted"
    if surplus == info.primary:
        _hand_over(draft, standing, f"{why}: {surplus} has been replaced")
    else:
        reason = f"{why}: {surplus} bears {shown(survey.stored[surplus])}"
        draft.take(Step(Action.REMOVE_REPLICA, info.id, reason, node=surplus), urgent=True)


def _report(draft: Draft, standing: Standing) -> None:
    """Nobody leads it. While one that has everything is alive, that one takes over by itself."""
    survey, info = draft.survey, standing.info
    if info.primary not in survey.lost or survey.alive.intersection(info.in_sync):
        return
    if len(info.replicas) == 1:
        has = f"its only replica is on {info.primary}"
    else:
        has = f"all its replicas in sync were on {', '.join(sorted(info.in_sync))}"
    reason = (
        f"{has}, and {survey.because(info.primary)}. It is not placed anew, for that would lose data: start {info.primary} "
        "again, or give the data up by ForcePrimary"
    )
    draft.find(standing, info.primary, reason)


def _count(standing: Standing) -> str:
    return f"{len(standing.staying)} of {standing.wanted} replicas"


def _safe(standing: Standing) -> str:
    return f"{len(standing.safe)} others are in sync, {standing.wanted} wanted"


def _merit(draft: Draft, standing: Standing, home: NodeId) -> str:
    survey = draft.survey
    if home in survey.replacements(standing):
        return "was named as the replacement"
    zone = survey.zone(home)
    if zone and zone not in set(map(survey.zone, standing.staying)):
        return f"is in zone {zone!r}, which has no replica, and bears {shown(draft.weights[home])}"
    return f"bears {shown(draft.weights[home])}"


def shown(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004 - the step between the units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
