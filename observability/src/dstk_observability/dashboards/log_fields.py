"""The fields of log lines that dashboards name, from the registry of fields."""

from dstk_service.logs.fields import CLUSTER as CLUSTER
from dstk_service.logs.fields import FIELDS, TIMESTAMP
from dstk_service.logs.fields import LEVEL as LEVEL
from dstk_service.logs.fields import MESSAGE as MESSAGE
from dstk_service.logs.fields import NODE as NODE
from dstk_service.logs.fields import SERVICE as SERVICE

TIME = TIMESTAMP
TRACE, PARTITION, ACTION = (FIELDS[key].name for key in ("trace_id", "partition", "action"))
ABOUT = tuple(FIELDS[key].name for key in ("partition", "epoch", "node", "reason", "error"))
"""What a line is about, where it says so."""
DISPLAYED = (NODE, MESSAGE, *ABOUT)
"""The fields that a panel of lines shows, beside the time."""
