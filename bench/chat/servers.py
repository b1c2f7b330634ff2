"""Pairs of chat servers that differ in the module alone: Synapse and Prosody, Alice writing to Carol on each."""

import queue
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.chat.measuring import Side, Times
from tests.e2e.chat import homeserver as synapse
from tests.e2e.chat import xmpp_server as prosody
from tests.e2e.chat.matrix import MatrixUser
from tests.e2e.chat.register import ADS, Register
from tests.e2e.service import Sceau

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where Synapse keeps its database here: how fast a disk is would drown what is measured."""
_LOADED = 'modules_enabled = { "sceau", "word_counts" }'


@contextmanager
def synapse_pair(sceau: Sceau) -> Iterator[tuple[Side, Side, Callable[[], int]]]:
    """Two homeservers, without and with; and how many messages the analysis saw."""
    python, register = synapse.provide(), Register(sceau.api, "mxid")
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_MEMORY))) for _ in range(2)]
        register.write_key(folders[1] / "sceau.key")
        (folders[1] / "sceau.secret").write_text(secrets.token_hex(32))
        written = synapse.write_analysis(folders[1])
        module = synapse.module_settings(folders[1], sceau.address)
        sides = []
        for name, folder, modules in (("without", folders[0], []), ("with", folders[1], [module])):
            server = stack.enter_context(synapse.homeserver(folder, python, *modules))
            alice, carol = server.register("alice"), server.register("carol")
            if modules:
                register.grant(alice.id, ADS)
                register.grant(carol.id, ADS)
            message = stack.enter_context(_matrix_messages(alice, carol))
            sides.append(Side(name, message, server.pid))
        yield sides[0], sides[1], lambda: len(written.read_text().splitlines())


@contextmanager
def _matrix_messages(sender: MatrixUser, receiver: MatrixUser) -> Iterator[Callable[[], Times]]:
    """Sends a message when called, while the receiver's client waits for what is new, as clients do."""
    room, arrived, ended = sender.create_room(receiver), queue.SimpleQueue[tuple[str, float]](), threading.Event()

    def follow() -> None:
        while not ended.is_set():
            for event in receiver.synchronise():
                arrived.put((event, time.perf_counter()))

    def message() -> Times:
        began = time.perf_counter()
        event = sender.send(room, "a message of some words")
        answered = time.perf_counter()
        while (found := arrived.get(timeout=60))[0] != event:
            pass
        return Times(answered - began, found[1] - began)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield message
    finally:
        ended.set()
        thread.join()


@contextmanager
def prosody_pair(sceau: Sceau) -> Iterator[tuple[Side, Side, Callable[[], int]]]:
    """Two Prosodys, without and with; and how many messages the analysis saw."""
    prosody.provide()
    register = Register(sceau.api, "user")
    with ExitStack() as stack:
        sides = []
        for name, changes in (("without", {_LOADED: "modules_enabled = {}"}), ("with", {})):
            folder = stack.enter_context(prosody.scratch())
            register.write_key(folder / "sceau.key")
            server = stack.enter_context(prosody.xmpp_server(folder, sceau.address, changes, log="warn"))
            sides.append(Side(name, _xmpp_messages(server, stack), server.pid))
        register.grant(f"alice@{prosody.HOST}", ADS)
        register.grant(f"carol@{prosody.HOST}", ADS)
        yield sides[0], sides[1], lambda: len(server.written("words.jsonl"))


def _xmpp_messages(server: prosody.XmppServer, stack: ExitStack) -> Callable[[], Times]:
    sender, receiver = server.log_in("alice"), server.log_in("carol")
    stack.callback(sender.close)
    stack.callback(receiver.close)

    def message() -> Times:
        began = time.perf_counter()
        receiver.receives(sender.send(receiver.full, "a message of some words"))
        return Times(None, time.perf_counter() - began)

    return message
