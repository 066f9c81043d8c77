"""Ports for tests."""

import random
import socket

BELOW_EPHEMERAL = range(15_000, 32_000)
"""Where neither the system nor, but for rare rng, another test process takes a port between our look and our use of it."""

_chance = random.SystemRandom()


def free_port() -> int:
    """A free port."""
    while True:
        port = _chance.choice(BELOW_EPHEMERAL)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
