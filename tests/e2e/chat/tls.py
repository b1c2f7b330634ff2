"""TLS in front of a port of loopback, with an authority of the test's own that clients may be told to trust."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.http_bytes import read_request, read_response

ADDRESS = "127.0.0.1"


def make_authority(folder: Path) -> Path:
    """A certificate that signed itself, for loopback, with its key beside it; the certificate's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    # Some clients look an address up among the addresses, some among the names.
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(ADDRESS)), x509.DNSName(ADDRESS)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(certificate.public_bytes(pem))
    private = serialization.PrivateFormat.PKCS8
    (folder / "authority.key").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    return folder / "authority.pem"


@contextlib.contextmanager
def in_front_of(port: int, certificate: Path) -> Iterator[int]:
    """Pass on what arrives by TLS on a free port, which it yields, to another port, as long as the block lasts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with socket.create_server((ADDRESS, 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, context, port), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.suppress(OSError):  # the listener was shut down: the block is over
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(client, context, port), daemon=True).start()


def _pass_on(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
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
