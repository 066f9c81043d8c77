"""The processes that watch a cluster, with their command lines, and what its services are told about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dstk_localcluster.directory import ALERTMANAGER, JAEGER, PROMETHEUS, ClusterDir
from dstk_localcluster.plan import ClusterPlan
from dstk_localcluster.ports import HOST
from dstk_localcluster.programs import Program

_PROMETHEUS = {
    "storage.tsdb.retention.time": "32d",  # objectives look back 30 days
    "storage.tsdb.retention.size": "1GB",
    "enable-feature": "exemplar-storage",  # they lead from a figure to a trace
}
_JSON = {"log.format": "json"}
"""`dstk local logs` and the reason of a failure come from fields."""
_JAEGER_HEAP = "96MiB"
"""Go's collector works harder from here on, as in the compose stack."""


@dataclass(frozen=True, slots=True)
class Watching:
    """`programs`: those to run, in order. `settings`: variables for our services."""

    programs: tuple[Program, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def watching(directory: ClusterDir, plan: ClusterPlan, paths: Mapping[str, str]) -> Watching:
    """Returns what watches the cluster. `paths`: of the programs, by the name of the process."""
    programs = tuple(_PROGRAMS[name](directory, plan, path) for name, path in paths.items())
    return Watching(programs, _tracing(plan) if JAEGER in paths else {})


def _tracing(plan: ClusterPlan) -> dict[str, str]:
    """Services send traces to Jaeger. They begin one for each call, up to their limit of traces a second: whoever tries
    something wants to see it.
    """
    return {"DSTK_TRACE_ENDPOINT": f"http://{HOST}:{plan.observability.otlp_http}", "DSTK_TRACE_RATIO": "1"}


def _prometheus(directory: ClusterDir, plan: ClusterPlan, path: str) -> Program:
    home = directory.data(PROMETHEUS)
    files = {"config.file": home / "prometheus.yml", "storage.tsdb.path": home / "data"}
    return _scraped(directory, PROMETHEUS, plan.observability.prometheus, path, {**files, **_PROMETHEUS})


def _alertmanager(directory: ClusterDir, plan: ClusterPlan, path: str) -> Program:
    home = directory.data(ALERTMANAGER)
    files = {"config.file": home / "alertmanager.yml", "storage.path": home / "data"}
    # one process: it looks for no others
    return _scraped(
        directory, ALERTMANAGER, plan.observability.alertmanager, path, {**files, "cluster.listen-address": ""}
    )


def _scraped(directory: ClusterDir, name: str, port: int, path: str, options: Mapping[str, object]) -> Program:
    """Prometheus or Alertmanager: they are alike."""
    address = f"{HOST}:{port}"
    flags = tuple(f"--{flag}={value}" for flag, value in {**options, "web.listen-address": address, **_JSON}.items())
    page = f"http://{address}"
    program = Program(name, address, (path,), flags, directory.log(name), operations=address)
    return replace(program, page=page, probe=f"{page}/-/ready")


def _jaeger(directory: ClusterDir, plan: ClusterPlan, path: str) -> Program:
    ports = plan.observability
    listens = {
        "JAEGER_QUERY": ports.jaeger,
        "JAEGER_QUERY_GRPC": ports.jaeger_grpc,
        "JAEGER_HEALTH": ports.jaeger_health,
        "JAEGER_OTLP_HTTP": ports.otlp_http,
        "JAEGER_OTLP_GRPC": ports.otlp_grpc,
    }
    variables = {"GOMEMLIMIT": _JAEGER_HEAP, **{name: f"{HOST}:{port}" for name, port in listens.items()}}
    options = (f"--config={directory.data(JAEGER) / 'jaeger.yml'}", "--set=service.telemetry.logs.encoding=json")
    address = f"{HOST}:{ports.jaeger}"
    probe = f"http://{HOST}:{ports.jaeger_health}/status"
    program = Program(JAEGER, address, (path,), options, directory.log(JAEGER), page=f"http://{address}", probe=probe)
    return program.with_variables(variables)


_PROGRAMS: Mapping[str, Callable[[ClusterDir, ClusterPlan, str], Program]] = {
    PROMETHEUS: _prometheus,
    ALERTMANAGER: _alertmanager,
    JAEGER: _jaeger,
}
