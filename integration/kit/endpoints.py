"""An HTTP endpoint on loopback that keeps what is posted to it, or misbehaves: a collector, or Sentry."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

HANG_SECONDS = 60.0

_STATUS = {"take": 200, "fail": 503, "limit": 429}


class HttpEndpoint:
    """Listens during the block. `behaviour`: "take"; "hang": the answer never comes; "refuse": closes the connection at once;
    "fail": answers 503; "limit": answers 429.
    """

    def __init__(self) -> None:
        self.behaviour = "take"
        self.bodies: list[bytes] = []
        self.requests = 0
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.requests += 1
                if endpoint.behaviour == "refuse":
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers["content-length"]))
                if endpoint.behaviour == "hang":
                    endpoint._ended.wait(HANG_SECONDS)
                    return
                if endpoint.behaviour == "take":
                    endpoint.bodies.append(body)
                self.send_response(_STATUS[endpoint.behaviour])
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
