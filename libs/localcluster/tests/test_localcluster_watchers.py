"""A real cluster beside programs that stand in for Prometheus and Alertmanager: one answers, one never starts."""

import os
import sys
from pathlib import Path

import pytest

from dstk_client import connect
from dstk_keytypes import Key
from dstk_localcluster import ClusterSpec, ClusterState, LocalClusterError, Phase, health, local_cluster

pytestmark = [pytest.mark.slow]

ANSWERS = f"""#!{sys.executable}
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/-/ready" else 404)
        self.end_headers()
address = next(argument for argument in sys.argv if argument.startswith("--web.listen-address="))
HTTPServer(("127.0.0.1", int(address.rpartition(":")[2])), Handler).serve_forever()
"""
FAILS = f"""#!{sys.executable}
import sys
sys.exit('{{"time": "t", "level": "ERROR", "source": "main.go:1", "msg": "no config", "err": "it is gone"}}')
"""


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    for name, text in {"prometheus": ANSWERS, "alertmanager": FAILS}.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("stand_ins")
async def test_a_cluster_serves_whatever_becomes_of_what_watches_it(tmp_path: Path) -> None:
    changes: list[ClusterState] = []
    spec = ClusterSpec(nodes=1, observability=True)
    async with local_cluster(tmp_path / "data", spec, changes.append) as cluster:
        assert list(cluster.addresses)[2:6] == ["router", "metrics", "prometheus", "alertmanager"]
        assert cluster.state.phase is Phase.SERVING
        assert cluster.process("prometheus").phase is Phase.SERVING
        failing = cluster.process("alertmanager")
        assert (failing.phase, failing.reason) == (Phase.FAILING, "no config: it is gone")
        async with connect(cluster.router, timeout=30) as client:
            await client.put(Key.text("hello"), b"world")
        checked = await health.checked(cluster.state)
        assert (checked.phase, checked.watchers[0].phase) == (Phase.SERVING, Phase.SERVING)
        was_serving = cluster.state
        await cluster.kill("prometheus")
        assert (await health.checked(was_serving)).watchers[0].phase is Phase.SILENT
        assert cluster.state.phase is Phase.SERVING
        await cluster.start("prometheus")
        left = cluster.state.running()
    ended = [process.name for process in changes[-1].processes if process.phase is Phase.STOPPED]
    assert ended == list(cluster.addresses)
    assert not any(process.alive for process in left)


async def test_nothing_starts_where_nothing_that_was_asked_for_is_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LocalClusterError, match="is on PATH"):
        await local_cluster(tmp_path / "data", ClusterSpec(nodes=1, observability=True)).__aenter__()
    assert not (tmp_path / "data").exists()
