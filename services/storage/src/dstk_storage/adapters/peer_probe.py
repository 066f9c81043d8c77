"""Whether a process that cannot be reached is gone.

gRPC says UNAVAILABLE for a refused connection, a broken one and a lost route alike, and tells them apart in its text only,
which changes with its versions. So the address is looked at once more: the kernel of a machine whose process has ended refuses
the connection, or ends it at once; a process that is stopped, or stuck, leaves it open and says nothing.
"""

import asyncio
from contextlib import suppress

PROBE_SECONDS = 0.2


async def is_gone(address: str) -> bool:
    """True when nobody listens at host:port. False when somebody does, and when it cannot be told within PROBE_SECONDS."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _refuses(host.strip("[]"), int(port))
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    except (OSError, ValueError):  # a timeout, too: no route, no such name, no port
        return False


async def _refuses(host: str, port: int) -> bool:
    """A process that is about to end may still accept; a gRPC server that lives speaks first."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        return not await reader.read(1)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
