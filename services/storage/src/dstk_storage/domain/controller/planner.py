"""The controller's decision: a pure function of what is known. No clock, no rng, no memory of its own."""

from dstk_storage.domain.controller.balance import balance
from dstk_storage.domain.controller.draft import Draft
from dstk_storage.domain.controller.model import Finding, Plan, Situation, Step
from dstk_storage.domain.controller.repair import mend
from dstk_storage.domain.controller.shape import merge, split
from dstk_storage.domain.controller.survey import Survey


def plan(situation: Situation) -> list[Step]:
    """The next steps, the most urgent first. They touch different partitions, so all may be taken at once."""
    return list(outlook(situation).steps)


def outlook(situation: Situation) -> Plan:
    """The next steps, and what no step can mend. Nothing, while the cluster has no map."""
    if not situation.map.partitions:
        return Plan()
    survey = Survey(situation)
    draft = Draft(survey)
    _complain(draft)
    mend(draft)
    split(draft)
    merge(draft)
    balance(draft)
    return draft.plan()


def _complain(draft: Draft) -> None:
    """About what concerns the whole cluster."""
    usable, wanted = len(draft.survey.usable), draft.survey.settings.replicas
    if usable < wanted:
        reason = f"{usable} usable nodes are fewer than the {wanted} replicas that partitions are to have"
        draft.findings.append(Finding(0, None, reason))
