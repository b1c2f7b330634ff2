"""A way from a container's loopback to a PostgreSQL socket that only this user may open."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path


def relay(target: Path) -> contextlib.AbstractContextManager[int]:
    """Pass what arrives on a free loopback port, which it yields, on to the socket, as long as the block lasts."""
    return serving(partial(_pass_on, target))


@contextlib.contextmanager
def serving(pass_on: Callable[[socket.socket], None]) -> Iterator[int]:
    """Have each client of a free loopback port, which it yields, served by a thread, as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, pass_on), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listener: socket.socket, pass_on: Callable[[socket.socket], None]) -> None:
    with contextlib.suppress(OSError):  # the listener was shut down: the block is over
        while True:
            client, _ = listener.accept()
            threading.Thread(target=pass_on, args=(client,), daemon=True).start()


def _pass_on(target: Path, client: socket.socket) -> None:
    with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):  # either side may go any time
        server.connect(str(target))
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
