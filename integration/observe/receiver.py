"""A receiver of Alertmanager's webhooks, which a test can make refuse them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


@dataclass
class Receiver:
    """`told`: the path and the content of each alert of each notification, in order. `refuses`: answers with an error."""

    address: str = ""
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuses: bool = False

    def statuses(self, path: str, alert: str) -> list[str]:
        """What came to a path about an alert, in order: firing, resolved."""
        return [each["status"] for at, each in self.told if at == path and each["labels"]["alertname"] == alert]


class _Server(ThreadingHTTPServer):
    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver
        receiver.address = f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        receiver = self.server.receiver
        notification = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not receiver.refuses:
            receiver.told += [(self.path, alert) for alert in notification["alerts"]]
        self.send_response(400 if receiver.refuses else 200)  # after a 500 Alertmanager would repeat it for a while
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listens on loopback inside the block."""
    receiver = Receiver()
    with _Server(receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
