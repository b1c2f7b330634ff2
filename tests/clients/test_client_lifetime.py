"""Clients begin and end cleanly: threads, forks, closing, and what is left when nobody closes."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sceau_client import AsyncClient, Cause, Client, ExemptPurpose, sync
from tests.clients import scenes
from tests.clients.scenes import LETTER, about
from tests.faults.service import HANGS, eventually

SOURCE = Path(__file__).parents[2] / "clients/python/src"
BEGIN = """
import os, resource, sys, threading
from sceau_client import Cause, Client, HandleMaker, Question

client = Client(sys.argv[1], "key", refresh=None, deadline=60)
question = Question("alice", "ads-mail", HandleMaker(b"7" * 32).correspondence("1"))
"""
FORKING = f"""{BEGIN}
assert client.evaluate(question)
child = os.fork()
assert client.evaluate(question)
assert client.evaluate(question)
if child:
    assert os.waitpid(child, 0)[1] == 0
    client.close()
"""
EXHAUSTED = f"""{BEGIN}
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
answers = []
asking = [threading.Thread(target=lambda: answers.append(client.evaluate(question).cause)) for _ in range(3)]
for each in asking:
    each.start()
for each in asking:
    each.join(60)
assert answers == [Cause.UNAVAILABLE] * 3, answers
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert client.evaluate(question)
client.close()
"""


def in_a_process(program, url):
    """Run a program in a process of its own; it must succeed, and that it did is returned."""
    settings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-W", "ignore", "-c", program, url]
    ran = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=HANGS)
    assert ran.returncode == 0, ran.stderr
    return True


def refuse(_):
    """Start no thread."""
    raise RuntimeError("can't start new thread")


def threads():
    """The threads of waiting clients."""
    return [thread for thread in threading.enumerate() if thread.name == "sceau-client"]


def test_nothing_starts_before_the_first_question(server):
    """A client that was made in a parent process costs nothing there."""
    client = Client(server.url, "key")
    assert threads() == []
    client.close()


def test_closing_ends_the_thread_and_the_client(server):
    """After `close` nothing runs, and asking is a mistake of the program."""
    with Client(server.url, "key", refresh=60, deadline=60) as client:
        assert client.evaluate(about("alice"))
        assert len(threads()) == 1
    assert threads() == []
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.evaluate(about("alice"))


def test_a_client_that_is_forgotten_ends_its_thread(server):
    """Nobody holds it any more: its thread goes, too."""
    client = Client(server.url, "key", refresh=60, deadline=60)
    assert client.evaluate(about("alice"))
    del client
    gc.collect()
    eventually(lambda: threads() == [])


def test_a_child_process_does_not_share_its_parents_connection(server):
    """After a fork each side asks over a connection of its own: no answer can reach the wrong one."""
    before = server.connections
    in_a_process(FORKING, server.url)
    assert server.connections - before == 2


def test_a_client_that_cannot_start_answers_unknown_and_tries_again(server):
    """No file is left for an event loop: every thread has its answer, and the next question finds that there is one."""
    assert in_a_process(EXHAUSTED, server.url)


def test_a_client_without_a_thread_answers_unknown(server, monkeypatch, caplog):
    """The system starts no further thread: nothing is raised, it is said once, and later questions are answered."""
    client = Client(server.url, "key", refresh=None, deadline=60)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert [client.evaluate(about("alice")).cause for _ in range(2)] == [Cause.UNAVAILABLE] * 2
        assert not client.require_all(["alice", "bob"], "ads-mail", LETTER)
        assert client.__enter__() is client
    assert client.evaluate(about("alice"))
    client.close()
    assert caplog.messages == ["Sceau cannot be asked: RuntimeError at the start of the client's thread"]


def test_exempt_processings_need_no_thread(server, monkeypatch):
    """What is declared exempt is permitted all the same: mail is filtered on a system that is short of everything."""
    client = Client(server.url, "key", refresh=None, exempt={"filter": ExemptPurpose.MALWARE_DETECTION})
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert client.evaluate(about("alice", "filter"))
    assert not client.evaluate(about("alice", "ads-mail"))


def test_a_thread_that_ended_is_replaced(server):
    """Whatever ended it, the next question is answered."""
    client = Client(server.url, "key", refresh=None, deadline=60)
    assert client.evaluate(about("alice"))
    first = client._thread
    assert first is not None
    first.stop()
    assert client.evaluate(about("alice"))
    client.close()
    assert threads() == []


def test_closing_does_not_wait_for_a_name_that_is_looked_up(server, monkeypatch):
    """A resolver that hangs is not waited for, neither by a question nor, beyond a few seconds, by `close`."""
    resolved = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved.wait() and [])
    monkeypatch.setattr(sync, "_CLOSE_SECONDS", 0.05)
    client = Client(server.url.replace("127.0.0.1", "localhost"), "key", refresh=None, deadline=60)
    assert client.evaluate(about("alice"), deadline=0.2).cause is Cause.TIMEOUT
    client.close()
    assert len(threads()) == 1
    resolved.set()
    eventually(lambda: threads() == [])


def test_closing_cuts_what_is_being_asked_short(server, came):
    """A question that waits for an answer is unknown once its client is closed, and raises nothing."""
    server.behave = scenes.silent
    client, answers = Client(server.url, "key", refresh=None, deadline=60), []
    asking = threading.Thread(target=lambda: answers.append(client.evaluate(about("alice"))))
    asking.start()
    eventually(lambda: came)
    client.close()
    asking.join()
    server.behave = scenes.permitting
    assert [bool(answer) for answer in answers] == [False]


def test_a_task_that_is_cancelled_is_cancelled(server, stage):
    """The caller's own cancellation is not turned into an answer, and the client is good afterwards."""

    async def run():
        came = asyncio.Event()

        async def silent(request, writer):
            came.set()
            await scenes.silent(request, writer)

        async with AsyncClient(server.url, "key", refresh=None, deadline=60) as client:
            server.behave = silent
            task = asyncio.create_task(client.evaluate(about("alice")))
            await came.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.behave = scenes.permitting
            return await client.evaluate(about("alice"))

    assert stage.run(run())
