"""The fields of log lines that dashboards name, from the registry of fields."""

from dstk_service.logs.fields import CLUSTER as CLUSTER
from dstk_service.logs.fields import FIELDS, TIMESTAMP
from dstk_service.logs.fields import LEVEL as LEVEL
from dstk_service.logs.fields import MESSAGE as MESSAGE
from dstk_service.logs.fields import NODE as NODE
from dstk_service.logs.fields import SERVICE as SERVICE

TIME = TIMESTAMP
TRACE, PARTITION, ACTION = (FIELDS[key].name for key in ("trace_id", "partition", "action"))
