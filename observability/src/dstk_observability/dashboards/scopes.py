"""Which series the queries of dashboards read: of the selected cluster, of a kind of process, of the selected processes."""

from dstk_observability import promql
from dstk_observability.dashboards.model import Variable
from dstk_observability.promql import AUTOMATIC, Expr, Family, Matcher, Selected, one_of


class Scope:
    """Expressions over series that match. `window`: the range of rates."""

    def __init__(self, window: str = AUTOMATIC, **matchers: Matcher) -> None:
        self._window = window
        self._matchers: dict[str, Matcher] = {"cluster": Selected(Variable.CLUSTER), **matchers}

    def now(self, metric: Family, **matchers: Matcher) -> Expr:
        """The value of a gauge."""
        return promql.now(metric, "", **self._with(matchers))

    def age(self, metric: Family, **matchers: Matcher) -> Expr:
        """Seconds since the time that a gauge tells."""
        return promql.age(metric, **self._with(matchers))

    def rate(self, metric: Family, **matchers: Matcher) -> Expr:
        """How much a counter grows in a second."""
        return promql.rate(metric, self._window, **self._with(matchers))

    def increase(self, metric: Family, **matchers: Matcher) -> Expr:
        """How much a counter grew in the window."""
        return promql.increase(metric, self._window, **self._with(matchers))

    def measured(self, metric: Family, **matchers: Matcher) -> Expr:
        """How many measurements a histogram takes in a second."""
        return promql.count_rate(metric, self._window, **self._with(matchers))

    def quantile(self, share: float, metric: Family, *by: str, **matchers: Matcher) -> Expr:
        """The value that `share` of a histogram's measurements do not exceed. NaN: there were none."""
        return promql.quantile(share, metric, self._window, *by, **self._with(matchers))

    def mean(self, metric: Family, *by: str, **matchers: Matcher) -> Expr:
        """The mean of a histogram's measurements. NaN: there were none."""
        return promql.mean(metric, self._window, *by, **self._with(matchers))

    def share_above(self, bound: float, metric: Family, *by: str, **matchers: Matcher) -> Expr:
        """The share of a histogram's measurements above one of its bounds. NaN: there were none."""
        return promql.share_above(bound, metric, self._window, *by, **self._with(matchers))

    def _with(self, matchers: dict[str, Matcher]) -> dict[str, Matcher]:
        return {**self._matchers, **matchers}


CLUSTER = Scope()
STORAGE = Scope(job="storage")
ROUTER = Scope(job="router")
METRICS = Scope(job="metrics")
ETCD = Scope(job="etcd")
SERVICES = Scope(job=one_of("storage", "router", "metrics"))
"""Every process of ours."""
NODE = Scope(job="storage", instance=Selected(Variable.NODE))
PROCESS = Scope(job=one_of("storage", "router", "metrics"), instance=Selected(Variable.NODE))
PARTITION = Scope(job="storage", partition=Selected(Variable.PARTITION))
CLUSTER_PARTITION = Scope(job="metrics", partition=Selected(Variable.PARTITION))
"""As the metrics service counts it, whichever node leads it."""
