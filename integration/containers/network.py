"""Cuts between containers: packets are dropped where they arrive, in the network namespace of the container that they reach.

A container that may do that (NET_ADMIN) joins the namespace for one command. So it works wherever the engine runs, needs no
rights on the host, leaves nothing in the containers under test, and can cut one direction alone. Taking a container off its
network would cut it off from everything, and give it another address afterwards.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from docker.client import DockerClient

from containers.docker import PROJECT_LABEL, TOOLS_IMAGE

CLIENTS = "clients"
"""This process, whose packets come from the network's gateway."""

Cut = tuple[str, str]
"""Whose packets no longer reach whom."""


class Cuts:
    """The cuts of one project; `address_of` gives the address from which the packets of a name come now."""

    def __init__(self, client: DockerClient, project: str, address_of: Callable[[str], str]) -> None:
        self._client = client
        self._project = project
        self._address_of = address_of
        self._cut: set[str] = set()

    def add(self, cuts: Iterable[Cut], container_of: Callable[[str], str]) -> None:
        """Drops from now on what is sent from the first of each pair to the second. Raises docker.errors.ContainerError."""
        rules = defaultdict(list)
        for source, target in cuts:
            if target == CLIENTS:  # which are in no container, so their packets are dropped where they leave
                rules[source].append(f"iptables -A OUTPUT -d {self._address_of(CLIENTS)} -j DROP")
            else:
                rules[target].append(f"iptables -A INPUT -s {self._address_of(source)} -j DROP")
        for name, commands in rules.items():
            container = container_of(name)
            self._cut.add(container)
            self._inside(container, " && ".join(commands))

    def mend(self) -> None:
        """Ends all cuts; a container that was recreated meanwhile has none."""
        for container in self._cut:
            if self._client.containers.get(container).status == "running":
                self._inside(container, "iptables -F INPUT && iptables -F OUTPUT")
        self._cut.clear()

    def _inside(self, container: str, command: str) -> None:
        self._client.containers.run(
            TOOLS_IMAGE,
            ["sh", "-c", command],
            network_mode=f"container:{container}",
            cap_add=["NET_ADMIN"],
            remove=True,
            labels={PROJECT_LABEL: self._project},
        )
