"""How a primary ends its term of office."""

import logging

from dstk_service.logs.fields import LogFields
from dstk_storage.domain.replication.actions import Outbox, StepDown
from dstk_storage.domain.replication.replica import Replica

log = logging.getLogger(__name__)


def step_down(replica: Replica, outbox: Outbox) -> None:
    """The replica is the primary no more; what was in flight has an unknown outcome. Does nothing when it is none."""
    if replica.primary is None:
        return
    extra = LogFields(action="primary_lost", partition=replica.info.id, epoch=replica.primary.epoch)
    log.warning("no longer primary", extra=extra)
    replica.resign()
    outbox.add(StepDown(replica))
    outbox.change(replica)
