"""Judges a cluster: derives findings from what its map, its nodes and its controller report.

`gather` collects `Facts` with two observations a second apart from anything that answers for a cluster. `examine` is pure, and
derives the findings.
"""

from dstk_doctor.alerts import findings_of as findings_of
from dstk_doctor.examine import CHECKS as CHECKS
from dstk_doctor.examine import examine as examine
from dstk_doctor.facts import Facts as Facts
from dstk_doctor.facts import Finding as Finding
from dstk_doctor.facts import Observation as Observation
from dstk_doctor.facts import Severity as Severity
from dstk_doctor.gathering import gather as gather
