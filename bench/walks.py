"""`./dev bench walks`: through how many rooms of the code a request goes, counted while a real service answers it.

One process serves as `sceau serve` does, on a PostgreSQL of its own. Each kind of request is traced several times; what
does not happen every time (a lease, a sweep, a beat) is no part of its walk. Rows are printed as Markdown.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import Request, urlopen

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from bench import questions
from bench.processes import ROOT, free_port
from bench.progress import say
from bench.world import KEY, settings_on
from bench.wrk import BenchError

APP: Final = str(ROOT / "app") + os.sep
TIMES: Final = 7
"""How often each request is traced; a room counts that is entered every time."""
LAYERS: Final = (
    "words core conformance telemetry db keyring register|ledger|audit|events|auth|staff|proof journal snapshot "
    "operations api|jobs pages settings wiring main serving cli"
)
"""As the import contract has them, from below; a call into a higher one is a climb."""
_HEIGHT: Final = {folder: height for height, folders in enumerate(LAYERS.split()) for folder in folders.split("|")}


@dataclass(slots=True)
class Walk:
    """What one request entered: files, functions, and how often a call led to another file or up a layer."""

    entered: list[str] = field(default_factory=list)
    functions: Counter[CodeType] = field(default_factory=Counter)
    climbs: Counter[tuple[CodeType, CodeType]] = field(default_factory=Counter)

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Take one event of the interpreter (`sys.setprofile`)."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(APP):
            return
        self.entered.append(code.co_filename)
        self.functions[code] += 1
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(APP):
            caller = caller.f_back
        if caller is not None and _height(code) > _height(caller.f_code):
            self.climbs[caller.f_code, code] += 1


def _height(code: CodeType) -> int:
    return _HEIGHT[Path(code.co_filename.removeprefix(APP)).parts[0].removesuffix(".py")]


@dataclass(frozen=True, slots=True)
class Figures:
    """What several walks of one kind have in common."""

    files: tuple[str, ...]
    folders: int
    functions: int
    changes: int
    climbs: tuple[str, ...]


def figures(walks: list[Walk]) -> Figures:
    """The rooms that every walk entered, in the order of the first, and the fewest changes of file."""
    files = set.intersection(*(set(walk.entered) for walk in walks))
    functions = set.intersection(*(set(walk.functions) for walk in walks))
    climbs = set.intersection(*(set(walk.climbs) for walk in walks))
    order = [name.removeprefix(APP) for name in dict.fromkeys(walks[0].entered) if name in files]
    named = sorted(f"{a.co_qualname} -> {b.co_qualname}" for a, b in climbs)
    changes = min(sum(a != b for a, b in zip(walk.entered, walk.entered[1:], strict=False)) for walk in walks)
    return Figures(tuple(order), len({Path(each).parent for each in order}), len(functions), changes, tuple(named))


@dataclass(frozen=True, slots=True)
class Traced:
    """A service whose event loop turns in another thread than the requests come from."""

    loop: asyncio.AbstractEventLoop
    port: int

    def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> str:  # noqa: ANN401 - JSON
        """One request of the caller with every scope; what is answered."""
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        asked = Request(f"http://127.0.0.1:{self.port}{path}", data, sent, method=method)
        try:
            with urlopen(asked, timeout=60) as answer:
                read: bytes = answer.read()
        except HTTPError as error:
            raise BenchError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return read.decode()

    def walk(self, send: Callable[[], object]) -> Walk:
        """The walk of what one call sends."""
        walk = Walk()
        self._in_loop(lambda: sys.setprofile(walk.note))
        send()
        self._in_loop(lambda: sys.setprofile(None))
        return walk

    def _in_loop(self, act: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                act()
            finally:
                done.set()

        self.loop.call_soon_threadsafe(run)
        done.wait()


def _decision(service: Traced, _: int) -> Callable[[], object]:
    return lambda: service.send("POST", "/access/v1/evaluation", questions.single(1))


def _grant(service: Traced, number: int) -> Callable[[], object]:
    return lambda: service.send("POST", "/v1/consents", questions.grant(100 + number))


def _withdrawal(service: Traced, number: int) -> Callable[[], object]:
    return lambda: service.send("POST", "/v1/withdrawals", questions.withdrawal(100 + number))


def _press(service: Traced, number: int) -> Callable[[], object]:
    subject = {"type": questions.SUBJECT_TYPE, "id": questions.name_of(200 + number)}
    asked = {"subject": subject, "processings": [questions.PROCESSING], "authentication": "mailbox", "kind": "decide"}
    path = urlsplit(json.loads(service.send("POST", "/v1/consent-links", asked))["url"]).path
    page = service.send("GET", path)
    form = next(each for each in re.findall(r"<form.*?</form>", page, re.DOTALL) if 'value="accept"' in each)
    action = unescape(re.findall(r'action="([^"]*)"', form)[0])
    fields = [re.findall(r'(name|value)="([^"]*)"', each) for each in re.findall(r"<input[^>]*>", form)]
    said = urlencode([(unescape(each["name"]), unescape(each["value"])) for each in map(dict, fields)])
    kind = "application/x-www-form-urlencoded"
    return lambda: service.send("POST", urljoin(path, action), f"{said}&press=accept", kind)


def _import(service: Traced, number: int) -> Callable[[], object]:
    until = datetime.now(UTC).replace(microsecond=0)
    row = {
        "source_id": str(number),
        "subject": {"type": questions.SUBJECT_TYPE, "id": questions.name_of(300 + number)},
        "processing": questions.PROCESSING,
        "decision": "refused",
        "at": (until - timedelta(days=9)).isoformat(),
    }
    body = {"import": f"walk-{number}", "grants_expected": 0, "until": until.isoformat(), "rows": [row]}
    return lambda: service.send("POST", "/v1/imports", body)


KINDS: Final[dict[str, Callable[[Traced, int], Callable[[], object]]]] = {
    "decision, warm": _decision,
    "grant": _grant,
    "withdrawal": _withdrawal,
    "page, pressed": _press,
    "import of a row": _import,
}
"""Each prepares a request, and gives what sends it."""


def _walks(service: Traced) -> dict[str, Figures]:
    service.send("POST", "/v1/processings", {**questions.REGISTERED, "data_protection_contact": "dpo@exemple.example"})
    for number in range(TIMES):
        service.send("POST", "/v1/consents", questions.grant(1 + number))
    found = {}
    for name, prepare in KINDS.items():
        prepare(service, TIMES)()  # what is made once, at the first of its kind, is no part of the walk
        found[name] = figures([service.walk(prepare(service, number)) for number in range(TIMES)])
        say(f"{name}: {len(found[name].files)} files")
    return found


def measured() -> dict[str, Figures]:
    """The figures of each kind of request, by its name."""
    with tempfile.TemporaryDirectory(prefix="sceau-walks-", dir="/var/tmp") as scratch:
        home = Path(scratch)
        home.chmod(0o755)
        with EmbeddedServer(home / "postgres") as postgres:
            url = postgres.url(role=APP_ROLE, database=DATABASE)
            migrate(postgres.url(role=OWNER_ROLE, database=DATABASE), url)
            os.environ.update(settings_on(url), SCEAU_PUBLIC_URL="https://sceau.example", SCEAU_LOG_LEVEL="WARNING")
            return _serving(free_port())


def _serving(port: int) -> dict[str, Figures]:
    """Serve in this thread, as `sceau serve` does, while another one sends requests."""
    import uvicorn  # noqa: PLC0415 - with the settings in the environment

    from app.serving import SERVED  # noqa: PLC0415 - as above

    server = uvicorn.Server(uvicorn.Config(port=port, **{**SERVED, "loop": "asyncio"}))

    async def run() -> dict[str, Figures]:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        try:
            return await asyncio.to_thread(_walks, Traced(asyncio.get_running_loop(), port))
        finally:
            server.should_exit = True
            await serving

    return asyncio.run(run())


def table(found: dict[str, Figures]) -> str:
    """The figures as a Markdown table."""
    lines = ["| walk | files | folders | functions | changes of file | climbs |", "|---|---|---|---|---|---|"]
    for name, each in found.items():
        counted = (len(each.files), each.folders, each.functions, each.changes, len(each.climbs))
        lines.append(f"| {name} | {' | '.join(map(str, counted))} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print what was asked for."""
    parser = argparse.ArgumentParser(prog="./dev bench walks", description=__doc__)
    parser.add_argument("--show", choices=KINDS, help="list the files of one walk in order, and its climbs")
    asked = parser.parse_args()
    found = measured()
    sys.stdout.write(f"{table(found)}\n")
    if asked.show:
        sys.stdout.write("\n".join(["", *found[asked.show].files, "", *found[asked.show].climbs, ""]))


if __name__ == "__main__":
    main()
