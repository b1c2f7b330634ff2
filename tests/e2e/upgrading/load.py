"""People who grant, ask and withdraw on several services at once, and what must be true of each answer."""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx2

from tests.faults.service import Service
from tests.faults.words import decision, question, withdrawal

ONE = "/access/v1/evaluation"


@dataclass
class Load:
    """What was answered so far: statuses by kind of call, and what must never be."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lives: int = 0

    def refused(self) -> dict[tuple[str, int], int]:
        """Answers that are neither done nor decided."""
        return {key: number for key, number in self.statuses.items() if key[1] not in {200, 201}}


class Living:
    """Several threads, each one person after the other; services are exchanged under them."""

    def __init__(self, services: Sequence[Service], threads: int = 3) -> None:
        """Begin with these services."""
        self.load = Load()
        self._services = list(services)
        self._numbers = count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._live, args=(each,)) for each in range(threads)]

    def exchange(self, services: Sequence[Service]) -> None:
        """Go on with these services; calls under way may still end on those of before."""
        with self._lock:
            self._services = list(services)

    @contextmanager
    def going_on(self):
        """While the block lasts, people live."""
        for each in self._threads:
            each.start()
        try:
            yield self
        finally:
            self._stop.set()
            for each in self._threads:
                each.join()

    def wait_for(self, lives: int) -> None:
        """Wait until so many more lives have passed."""
        until = self.load.lives + lives
        while self.load.lives < until and not self.load.wrong and any(each.is_alive() for each in self._threads):
            self._stop.wait(0.05)

    def _live(self, thread: int) -> None:
        while not self._stop.is_set():
            name = f"life-{thread}-{next(self._numbers)}"
            if self._write("grant", "/v1/consents", decision(name)) is not None:
                self._ask("granted", name, "ads-mail", {True})
            self._ask("exempt", name, "filter", {True})
            if self._write("withdraw", "/v1/withdrawals", withdrawal(name)) is not None:
                self._ask("withdrawn", name, "ads-mail", {False})
            with self._lock:
                self.load.lives += 1

    def _write(self, kind: str, path: str, body: object) -> int | None:
        """The status of a write, sent until it is done; None where no service took it."""
        for _ in range(50):
            service = self._any()
            status = self._call(kind, service, path, body)
            if status in {200, 201}:
                return status
            self._stop.wait(0.1)
        return None

    def _ask(self, kind: str, name: str, processing: str, right: set[bool]) -> None:
        """Ask every service: none may answer otherwise."""
        with self._lock:
            services = list(self._services)
        for service in services:
            try:
                answer = service.call("POST", ONE, question(name, processing))
            except httpx2.TransportError:
                continue  # it was stopped meanwhile
            self._count(f"ask {kind}", answer.status_code)
            if answer.status_code == 200 and answer.json()["decision"] not in right:
                self.load.wrong.append(f"{kind}: {answer.text}")

    def _call(self, kind: str, service: Service, path: str, body: object) -> int | None:
        try:
            answer = service.call("POST", path, body)
        except httpx2.TransportError:
            return None
        self._count(kind, answer.status_code)
        return int(answer.status_code)

    def _any(self) -> Service:
        with self._lock:
            return self._services[next(self._numbers) % len(self._services)]

    def _count(self, kind: str, status: int) -> None:
        with self._lock:
            self.load.statuses[kind, status] += 1
