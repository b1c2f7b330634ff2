"""Three machines as network namespaces: a network among them, another to whoever uses them, and both can be cut.

All of it stands in the network namespace of this process, which is its own (`tests.e2e.failover.inside`): nothing of it
can be reached from elsewhere, and it is gone when the process is.
"""

import json
import subprocess
from typing import Final

PEERS: Final = "peers"
"""The network of etcd, Patroni and replication: 192.0.2.0/24, as in deploy/patroni."""
CLIENTS: Final = "clients"
"""The network between servers and services: 198.51.100.0/24."""
NETWORKS: Final = {PEERS: "192.0.2", CLIENTS: "198.51.100"}
_OURS: Final = f"{NETWORKS[CLIENTS]}.1/24"


def ip(*arguments: str) -> str:
    """What `ip` prints.

    Raises:
        subprocess.CalledProcessError: it failed; what it said is in it.

    """
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def lay() -> None:
    """Make both networks, without a machine in them yet.

    Raises:
        AssertionError: this is not a network namespace of our own (`tests.e2e.failover.inside`).

    """
    interfaces = [each["ifname"] for each in json.loads(ip("-json", "link", "show"))]
    assert interfaces == ["lo"], f"not in a network of one's own: there is {interfaces}"
    ip("link", "set", "lo", "up")
    for name in NETWORKS:
        ip("link", "add", name, "type", "bridge")
        ip("link", "set", name, "up")
    ip("address", "add", _OURS, "dev", CLIENTS)


class Machine:
    """A network namespace with an interface in each network."""

    def __init__(self, name: str, number: int) -> None:
        """Make it, with the last byte of its addresses."""
        self.name = name
        self.number = number
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        for network in NETWORKS:
            self._plug_in(network)

    def address(self, network: str) -> str:
        """Its address in a network."""
        return f"{NETWORKS[network]}.{self.number}"

    def cut(self, *networks: str) -> None:
        """Take it off networks: what is sent from now on is lost, both ways, and nobody is told."""
        for network in networks:
            ip("link", "set", self._port(network), "down")

    def join(self, *networks: str) -> None:
        """Put it back."""
        for network in networks:
            ip("link", "set", self._port(network), "up")

    def processes(self) -> list[int]:
        """Whatever runs on it."""
        return [int(pid) for pid in ip("netns", "pids", self.name).split()]

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs another one on it."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def _port(self, network: str) -> str:
        return f"{self.name}-{network}"

    def _plug_in(self, network: str) -> None:
        port = self._port(network)
        ip("link", "add", port, "type", "veth", "peer", "name", network, "netns", self.name)
        ip("link", "set", port, "master", network, "up")
        ip("-n", self.name, "address", "add", f"{self.address(network)}/24", "dev", network)
        ip("-n", self.name, "link", "set", network, "up")
