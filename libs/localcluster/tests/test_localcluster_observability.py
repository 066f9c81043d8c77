"""Programs that watch a local cluster: found on PATH, configured as in the compose stack, told the cluster's addresses."""

import json
from collections.abc import Callable, Collection
from dataclasses import astuple
from itertools import count
from pathlib import Path

import pytest

from dstk_localcluster import ClusterDir, ClusterSpec, LocalClusterError, Phase, ProcessState, plan
from dstk_localcluster.observability import configuration, tools
from dstk_localcluster.observability.watching import Watching, watching
from dstk_localcluster.plan import ClusterPlan
from dstk_localcluster.state import overall

PATHS = {"prometheus": "/bin/prometheus", "alertmanager": "/bin/alertmanager", "jaeger": "/bin/jaeger"}


def planned(nodes: int = 2, saved: ClusterPlan | None = None, first: int = 20_000) -> ClusterPlan:
    numbers = count(first)

    def pick(taken: Collection[int]) -> int:
        return next(port for port in numbers if port not in taken)

    return plan.resolve(ClusterSpec(nodes=nodes), saved, lambda _: True, pick)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts programs of these names on PATH, and nothing else."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))

    def made(*names: str) -> Path:
        for name in names:
            (place / name).write_text("#!/bin/sh\n")
            (place / name).chmod(0o755)
        return place

    return made


def test_what_is_on_path_runs_and_what_is_missing_is_told_with_where_to_get_it(install: Callable[..., Path]) -> None:
    place = install("prometheus")
    assert tools.required() == {"prometheus": str(place / "prometheus")}
    assert tools.missing() == (
        "not on PATH, and not started: alertmanager, jaeger; "
        "available from https://prometheus.io/download, https://www.jaegertracing.io/download"
    )
    install("alertmanager", "jaeger")
    assert list(tools.required()) == ["prometheus", "alertmanager", "jaeger"]
    assert tools.missing() == ""


def test_debian_has_another_name_for_alertmanager(install: Callable[..., Path]) -> None:
    path = install("prometheus-alertmanager") / "prometheus-alertmanager"
    assert tools.required() == {"alertmanager": str(path)}


def test_jaeger_1_is_not_taken_for_jaeger_2(install: Callable[..., Path]) -> None:
    install("jaeger-all-in-one", "jaeger-query")
    assert tools.found() == {}


def test_nothing_on_path_is_an_error_that_names_all_three(install: Callable[..., Path]) -> None:
    install("etcd")
    with pytest.raises(LocalClusterError, match="none of prometheus, alertmanager and jaeger is on PATH") as refusal:
        tools.required()
    assert "https://prometheus.io/download, https://www.jaegertracing.io/download" in refusal.value.hint


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.yml")}


def test_programs_read_what_ships_whatever_was_there_before(tmp_path: Path) -> None:
    shipped = files(configuration.SHIPPED)
    assert len(shipped) == 4
    for _ in range(2):
        configuration.write(ClusterDir(tmp_path), planned(), PATHS)
        written = files(tmp_path)
        assert {name: written[name] for name in shipped} == shipped
        (tmp_path / "prometheus" / "prometheus.yml").write_text("changed")


def scraped(directory: Path, job: str) -> dict[str, str]:
    entries = json.loads((directory / "prometheus" / "targets" / f"{job}.yml").read_text())
    assert all(entry["labels"]["cluster"] == "local" for entry in entries)
    return {entry["labels"]["instance"]: entry["targets"][0] for entry in entries}


def test_every_process_is_scraped_also_the_nodes_that_a_cluster_grows_by(tmp_path: Path) -> None:
    first = planned(2)
    grown = planned(3, first, 30_000)
    configuration.write(ClusterDir(tmp_path), first, PATHS)
    configuration.write(ClusterDir(tmp_path), grown, PATHS)
    ports = enumerate(grown.storage_operations_ports, 1)
    assert scraped(tmp_path, "storage") == {f"storage-{number}": f"127.0.0.1:{port}" for number, port in ports}
    assert scraped(tmp_path, "router") == {"router": f"127.0.0.1:{first.router_operations_port}"}
    assert scraped(tmp_path, "etcd") == {"etcd": f"127.0.0.1:{first.etcd_port}"}
    assert scraped(tmp_path, "alertmanager") == {"alertmanager": f"127.0.0.1:{first.observability.alertmanager}"}


def test_what_does_not_run_is_not_scraped_and_gets_no_alerts(tmp_path: Path) -> None:
    configuration.write(ClusterDir(tmp_path), planned(), ["prometheus"])
    assert list(scraped(tmp_path, "prometheus")) == ["prometheus"]
    assert scraped(tmp_path, "alertmanager") == {}


def watched(*names: str) -> Watching:
    return watching(ClusterDir(Path("/data")), planned(), {name: PATHS[name] for name in names})


def test_each_program_listens_on_ports_of_its_own_on_loopback_alone() -> None:
    prometheus, alertmanager, jaeger = watched(*PATHS).programs
    ports = planned().observability
    assert f"--web.listen-address=127.0.0.1:{ports.prometheus}" in prometheus.argv
    assert f"--web.listen-address=127.0.0.1:{ports.alertmanager}" in alertmanager.argv
    assert "--cluster.listen-address=" in alertmanager.argv
    listens = {name: address for name, address in jaeger.environment.items() if name.startswith("JAEGER_")}
    assert set(listens.values()) == {f"127.0.0.1:{port}" for port in astuple(ports)[2:]}
    # each variable that the file reads is set: its defaults are all addresses of the machine
    text = (configuration.SHIPPED / "jaeger" / "jaeger.yml").read_text()
    assert text.count("${env:JAEGER_") == len(listens) == 5
    assert all(f"${{env:{name}:-" in text for name in listens)


def test_programs_keep_their_files_in_the_data_directory() -> None:
    prometheus, alertmanager, jaeger = watched(*PATHS).programs
    assert {"--config.file=/data/prometheus/prometheus.yml", "--storage.tsdb.path=/data/prometheus/data"} <= {
        *prometheus.argv
    }
    assert {"--config.file=/data/alertmanager/alertmanager.yml", "--storage.path=/data/alertmanager/data"} <= {
        *alertmanager.argv
    }
    assert "--config=/data/jaeger/jaeger.yml" in jaeger.argv


def test_programs_keep_their_ports() -> None:
    first = planned(2)
    assert planned(3, first, 30_000).observability == first.observability


def test_services_send_traces_where_jaeger_runs() -> None:
    endpoint = f"http://127.0.0.1:{planned().observability.otlp_http}"
    assert watched("jaeger").settings == {"DSTK_TRACE_ENDPOINT": endpoint, "DSTK_TRACE_RATIO": "1"}
    assert watched("prometheus", "alertmanager").settings == {}


@pytest.mark.parametrize(("of_part", "expected"), [(Phase.SERVING, Phase.SERVING), (Phase.FAILING, Phase.DEGRADED)])
def test_a_cluster_is_degraded_by_its_parts_alone(of_part: Phase, expected: Phase) -> None:
    part = ProcessState("storage-1", "", "", of_part)
    watcher = ProcessState("jaeger", "", "", Phase.FAILING, probe="http://y")
    assert overall(Phase.SERVING, [part, watcher]) is expected
