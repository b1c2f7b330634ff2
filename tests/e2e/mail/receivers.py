"""An analysis, as far as these tests are concerned: it keeps what it was handed, and who handed it nothing."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any


class Analysis:
    """What was analysed: the bodies of the requests, as JSON, in their order."""

    def __init__(self, port: int) -> None:
        """Know where it listens."""
        self.address = f"http://127.0.0.1:{port}"
        self.received: list[Any] = []

    def saw(self, **members: object) -> bool:
        """Whether something with these members was analysed."""
        return any(members.items() <= each.items() for each in self.received)


@contextlib.contextmanager
def analysing() -> Iterator[Analysis]:
    """An analysis that listens on loopback as long as the block lasts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            analysis.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        analysis = Analysis(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield analysis
        finally:
            server.shutdown()
            thread.join()
