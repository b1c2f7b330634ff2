"""A process that runs one embedded server and does what its standard input says; run as a script by actors.py.

starter.py ROOT DATA BINARIES SETTINGS_JSON RLIMIT_FSIZE: imports `app` from ROOT; BINARIES "-" finds them; a limit of
-1 is none. Answers each of start, stop, state, fork and workers with one line of JSON. At the end of its input it
leaves without stopping the server.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from app.db.embedded.errors import EmbeddedServerError
from app.db.embedded.server import EmbeddedServer

_CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1] + '/.s.PGSQL.5432')"


def _state(server: EmbeddedServer) -> dict[str, object]:
    account = server.account
    return {
        "pid": server.pid,
        "alive": server.is_alive(),
        "url": server.url(role="sceau_app", database="sceau"),
        "uid": account.uid if account else None,
    }


def _fork() -> dict[str, object]:
    child = os.fork()
    if child == 0:
        os.closerange(0, 3)
        time.sleep(600)
        os._exit(0)
    return {"child": child}


def _answer(server: EmbeddedServer, word: str) -> dict[str, object]:
    try:
        if word == "fork":
            return _fork()
        if word.startswith("worker "):
            done = subprocess.run([sys.executable, "-c", _CONNECT, word.removeprefix("worker ")], check=False)
            return {"returncode": done.returncode}
        if word == "stop":
            server.stop()
        if word == "start":
            server.start()
        return _state(server)
    except EmbeddedServerError as error:
        return {"refused": type(error).__name__, "message": str(error)}


def main() -> None:
    """Obey standard input until it ends."""
    data, binaries, settings, limit = sys.argv[2:]
    if int(limit) >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    server = EmbeddedServer(
        Path(data), binaries=None if binaries == "-" else Path(binaries), settings=json.loads(settings)
    )
    for line in sys.stdin:
        print(json.dumps(_answer(server, line.strip())), flush=True)


main()
