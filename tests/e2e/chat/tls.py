"""TLS in front of a port of loopback, with an authority of the test's own that clients may be told to trust."""

import contextlib
import socket
import ssl
from functools import partial
from pathlib import Path

from tests.e2e.http_bytes import read_request, read_response
from tests.e2e.relay import serving
from tests.support.certificates import self_signed

ADDRESS = "127.0.0.1"


def make_authority(folder: Path) -> Path:
    """A certificate that signed itself, for loopback, with its key beside it; the certificate's file."""
    certificate, key = self_signed(ADDRESS)
    (folder / "authority.pem").write_bytes(certificate)
    (folder / "authority.key").write_bytes(key)
    return folder / "authority.pem"


def in_front_of(port: int, certificate: Path) -> contextlib.AbstractContextManager[int]:
    """Pass on what arrives by TLS on a free port, which it yields, to another port, as long as the block lasts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return serving(partial(_pass_on, context, port))


def _pass_on(context: ssl.SSLContext, port: int, client: socket.socket) -> None:
    """Request by request, since one TLS connection is for one thread."""
    with (
        client,
        contextlib.suppress(OSError),  # either side may go any time, or not like the certificate
        context.wrap_socket(client, server_side=True) as safe,
        socket.create_connection((ADDRESS, port)) as server,
    ):
        while request := read_request(safe, lambda: None):
            server.sendall(request.head + request.body)
            answer = read_response(server)
            safe.sendall(answer.head + answer.body)
