"""Clients begin and end cleanly: threads, forks, closing, and what is left when nobody closes."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sceau_client import AsyncClient, Client
from tests.clients import scenes
from tests.clients.scenes import about, scene
from tests.faults.service import eventually

SOURCE = Path(__file__).parents[2] / "clients/python/src"
FORKING = """
import os, sys
from sceau_client import Client, HandleMaker, Question

client = Client(sys.argv[1], "key", refresh=None, deadline=60)
question = Question("alice", "ads-mail", HandleMaker(b"7" * 32).correspondence("1"))
assert client.evaluate(question)
child = os.fork()
assert client.evaluate(question)
assert client.evaluate(question)
if child:
    assert os.waitpid(child, 0)[1] == 0
    client.close()
"""


@pytest.fixture(scope="module")
def server(stage):
    """A server that permits."""
    return stage.enter(scene(scenes.permitting))


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
    settings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-W", "ignore", "-c", FORKING, server.url]
    ran = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert server.connections - before == 2


def test_closing_cuts_what_is_being_asked_short(server, stage):
    """A question that waits for an answer is unknown once its client is closed, and raises nothing."""
    server.behave = scenes.silent
    server.came.clear()
    client, answers = Client(server.url, "key", refresh=None, deadline=60), []
    asking = threading.Thread(target=lambda: answers.append(client.evaluate(about("alice"))))
    asking.start()
    eventually(lambda: server.came)
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
