"""Ports for tests."""

import random
import socket

BELOW_EPHEMERAL = range(15_000, 32_000)
"""Where the system takes no port by itself between our look and our use of it."""

_rng = random.SystemRandom()


def free_port() -> int:
    """A TCP port on loopback that is free, and that no other call, of any process, returns while this process lives, although
    a node that is stopped for a while leaves it. For as long, this process holds the UDP port of that number.
    """
    while True:
        port = _rng.choice(BELOW_EPHEMERAL)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            claim.close()
            continue
        claim.detach()  # open until the process ends
        return port
