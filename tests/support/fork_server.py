"""A process that has imported what `sceau` imports, and forks for each command.

Its argument is the descriptor of the socket on which commands come (`tests.support.forked`). The imports take two
seconds of a processor, a fork takes none, and the suite starts hundreds of commands. Nothing of a command runs before
the fork: it reads its arguments and its environment as it would by itself.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from typing import Any

import uvicorn

import app.api.decisions.endpoint
import app.cli.recovery
import app.db.migrate
import app.main
import app.operations.consents.replay_journal
import app.serving
from app.cli import main as run_command

IMPORTED = (app, uvicorn)
"""What a command imports when it runs."""
_STANDARD = 3
"""Descriptors 0, 1 and 2 come with a command, then the pipe on which its exit status is told."""


def _serve_forks(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each command that is asked for; a fork returns with its command, this process with None at the end."""
    waiting = selectors.DefaultSelector()
    waiting.register(channel, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not channel:
                waiting.unregister(key.fileobj)
                _tell_end(key.fd, *key.data)
                continue
            message, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, _STANDARD + 1)
            if not message:
                _end_all(waiting)
                return None
            *standard, report = descriptors
            pid = os.fork()
            if pid == 0:
                os.close(report)
                _leave(waiting)
                channel.detach()
                return {**json.loads(message), "standard": standard}
            for each in standard:
                os.close(each)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, report))
            channel.sendall(f"{pid}\n".encode())


def _leave(waiting: selectors.BaseSelector) -> None:
    """Close what belongs to other commands, so that a fork does not hold it."""
    for key in [*waiting.get_map().values()]:
        os.close(key.fd)
        if key.data is not None:
            os.close(key.data[1])
    waiting.close()


def _end_all(waiting: selectors.BaseSelector) -> None:
    """End all commands and what they started, because the process that asked for them is gone."""
    for pid in [key.data[0] for key in waiting.get_map().values() if key.data is not None]:
        with suppress(ProcessLookupError):  # it has ended, or has not begun a session yet
            os.killpg(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tell_end(process: int, pid: int, report: int) -> None:
    """Send an ended command's status through its pipe, since only this process can wait for it."""
    os.close(process)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # the reader has gone
        os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(report)


def _become(request: dict[str, Any]) -> None:
    """Be the process that was asked for: its session, directory, environment, arguments and standard streams."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(request["standard"]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["module"] or "sceau", *request["words"]]
    tempfile.tempdir = None  # it is found anew, by the environment


def main() -> None:
    """Fork until the process that started this one is gone; in a fork, run the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the suite's: it ends what it has started
    gc.collect()
    gc.freeze()  # pages that a collection does not touch stay shared
    request = _serve_forks(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        _become(request)
        if request["module"] is None:
            run_command()
        else:
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
