"""Members of a real etcd export what rules read about their peers, which a single member has none of."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from kit.ports import free_port
from observe.exposition import lines_of, missing

from dstk_localcluster import etcd
from dstk_localcluster.environment import child_environment
from dstk_observability.external import ETCD, ETCD_PEER_ROUND_TRIP, EXTERNALS, UP
from dstk_service.testing import eventually

pytestmark = [pytest.mark.observe, pytest.mark.slow]


@contextmanager
def members(directory: Path) -> Iterator[Mapping[str, str]]:
    """Two members of one etcd; host:port of each, by its name. They are gone when the block ends."""
    peers = {name: f"http://127.0.0.1:{free_port()}" for name in ("etcd-1", "etcd-2")}
    addresses = {name: f"127.0.0.1:{free_port()}" for name in peers}
    cluster = ",".join(f"{name}={url}" for name, url in peers.items())
    with ExitStack() as running:
        for name, address in addresses.items():
            log = running.enter_context((directory / f"{name}.log").open("wb"))
            argv = _argv(directory / name, name, peers[name], f"http://{address}", cluster)
            process = running.enter_context(subprocess.Popen(argv, stdout=log, stderr=log, env=child_environment()))
            running.callback(process.kill)
        yield addresses


def _argv(directory: Path, name: str, peer: str, client: str, cluster: str) -> list[str]:
    options = {
        "name": name,
        "data-dir": directory,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "initial-cluster": cluster,
    }
    return [etcd.program(), *(f"--{option}={value}" for option, value in options.items())]


def _exported(address: str) -> list[str]:
    try:
        return lines_of(address)
    except OSError as error:
        raise AssertionError(f"{address} does not answer yet: {error}") from error


async def test_members_export_what_rules_read_of_etcd_and_of_its_peers(tmp_path: Path) -> None:
    families = [family for family in EXTERNALS if ETCD in family.jobs and family is not UP]
    assert ETCD_PEER_ROUND_TRIP in families
    with members(tmp_path) as addresses:

        def export_all() -> bool:
            for name, address in addresses.items():
                found = _exported(address)
                lacking = {family.name: missing(family, found) for family in families if missing(family, found)}
                assert not lacking, f"{name}: {lacking}"
            return True

        await eventually(export_all, within=60)
