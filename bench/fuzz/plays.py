"""Plays: what is sent in one go, on which connections, glued or cut how, and by whom."""

import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.api.http.exchange import LONGEST_HEAD
from bench.fuzz.bodies import Asker
from bench.fuzz.facts import Holder
from bench.fuzz.heads import ACCEPTS, Heads, Sent, garbage
from bench.fuzz.mutations import Mutator
from bench.fuzz.oracle import BATCH, SINGLE
from bench.fuzz.world import World

_KEPT_BODIES: Final = 150
Body = tuple[str, bytes]
"""The path that a body is sent to, and the body."""


@dataclass(frozen=True, slots=True)
class Flight:
    """Requests sent at once, before any is answered; cut at these bytes, with so many seconds between the pieces.

    What is not cut is so long before its answers are read.
    """

    requests: Sequence[Sent]
    cuts: Sequence[int] = ()
    pause: float = 0.0

    @property
    def data(self) -> bytes:
        """All its bytes."""
        return b"".join(each.data for each in self.requests)


@dataclass(frozen=True, slots=True)
class Track:
    """Flights on one connection, each sent when the one before is answered.

    `fresh`: a new connection. `ends`: the client closes its half after the last flight. `narrow`: a new connection that
    takes few bytes before they are read, so that the service has to wait with its answers.
    """

    flights: Sequence[Flight]
    fresh: bool = False
    ends: bool = False
    narrow: bool = False


Play = list[Track]
"""Tracks that run at the same time."""


@dataclass(slots=True)
class Playwright:
    """Writes plays; bodies that were sent are sent again later, when the facts have changed.

    `without` names plays and variants of heads that are left out; `long`: flights longer than a head may be.
    """

    world: World
    chance: random.Random
    heads: Heads
    without: Collection[str] = ()
    _kept: deque[Body] = field(default_factory=lambda: deque(maxlen=_KEPT_BODIES))

    def write(self) -> Play:
        """A play of any kind."""
        kinds: Sequence[tuple[int, Callable[[], Play]]] = (
            (5, self._alike),
            (6, self._varied),
            (6, self._pipelines),
            (4, self._strangers),
            (4, self._twice),
            (3, self._batches),
            (2, self._cuts),
            (1, self._crowded),
        )
        wanted = [each for each in kinds if each[1].__name__.lstrip("_") not in self.without]
        return self.chance.choices([kind for _, kind in wanted], [share for share, _ in wanted])[0]()

    # --- parts ------------------------------------------------------------------------------------------------------

    def _asker(self) -> Asker:
        return Asker(self.world, self.chance)

    def _mutator(self) -> Mutator:
        return Mutator(self.chance, self.world.facts.subjects)

    def _body(self) -> Body:
        """A body, new or sent before."""
        if self._kept and self.chance.random() < 0.4:  # noqa: PLR2004 - shares
            return self.chance.choice(self._kept)
        asker = self._asker()
        batch = self.chance.random() < 0.25  # noqa: PLR2004
        made = self._mutator().written(asker.batch() if batch else asker.question())
        path = BATCH if batch or self.chance.random() < 0.05 else SINGLE  # noqa: PLR2004
        self._kept.append((path, made))
        return path, made

    def _holder(self) -> Holder:
        """Mostly somebody who may ask."""
        facts = self.world.facts
        return self.world.holder("every") if self.chance.random() < 0.5 else self.chance.choice(facts.holders)  # noqa: PLR2004

    def _request(self) -> Sent:
        """A request of either kind."""
        (path, body), holder = self._body(), self._holder()
        if self.chance.random() < 0.4:  # noqa: PLR2004 - a share
            return self.heads.varied(path, body, holder, self._holder())
        accept = self.chance.choice(ACCEPTS) if self.chance.random() < 0.1 else ""  # noqa: PLR2004
        return self.heads.plain(path, body, holder, accept=accept, marked=self.chance.random() < 0.5)  # noqa: PLR2004

    def _flight(self, *requests: Sent) -> Flight:
        """Requests glued, and sometimes cut somewhere."""
        while "long" in self.without and len(requests) > 1 and len(Flight(requests).data) > LONGEST_HEAD:
            requests = requests[1:]
        whole = Flight(requests)
        if self.chance.random() < 0.7:  # noqa: PLR2004 - a share
            return whole
        size = len(whole.data)
        number = min(size - 1, self.chance.choice([1, 1, 2, 5]))
        return Flight(
            requests, sorted(self.chance.sample(range(1, size), number)), self.chance.choice([0, 0.001, 0.003])
        )

    # --- plays ------------------------------------------------------------------------------------------------------

    def _alike(self) -> Play:
        """Few bodies again and again, with the usual head, as mail servers ask."""
        bodies = [self._body() for _ in range(4)]
        tracks = []
        for _ in range(self.chance.choice([1, 2, 4])):
            asked = [(self.chance.choice(bodies), self._holder()) for _ in range(8)]
            tracks.append(Track([Flight([self.heads.plain(*body, holder)]) for body, holder in asked]))
        return tracks

    def _varied(self) -> Play:
        """Every kind of head and body, one request after the other, on several connections."""
        number = self.chance.choice([1, 3, 6])
        return [
            Track([self._flight(self._request()) for _ in range(4)], ends=self.chance.random() < 0.1)  # noqa: PLR2004
            for _ in range(number)
        ]

    def _pipelines(self) -> Play:
        """Requests glued together, garbage among them; connections interleaved."""
        tracks = []
        for _ in range(self.chance.choice([1, 2, 4])):
            flights = []
            for _ in range(self.chance.choice([1, 2])):
                requests = [self._request() for _ in range(self.chance.choice([2, 3, 5, 9]))]
                if self.chance.random() < 0.15:  # noqa: PLR2004 - a share
                    requests.insert(self.chance.randrange(len(requests) + 1), garbage(self.chance))
                flights.append(self._flight(*requests))
            tracks.append(Track(flights, ends=self.chance.random() < 0.1))  # noqa: PLR2004
        return tracks

    def _crowded(self) -> Play:
        """A long pipeline whose answers nobody reads for a while, and another connection meanwhile."""
        requests = [self._request() for _ in range(60)]
        usual = [each for each in requests if not each.odd]
        if "long" in self.without:
            usual = list(self._flight(*usual).requests)
        return [
            Track([Flight(usual, pause=0.05)], narrow=True),
            Track([self._flight(self._request()) for _ in range(3)]),
        ]

    def _strangers(self) -> Play:
        """One body by everybody, in one pipeline and on connections beside it."""
        path, body = self._body()
        holders = [*self.world.facts.holders, self.world.holder("every"), self.world.holder("every")]
        self.chance.shuffle(holders)
        glued = [self.heads.plain(path, body, each, marked=True) for each in holders]
        beside = [
            Track([Flight([self.heads.plain(path, body, each)]) for each in self.chance.sample(holders, 4)])
            for _ in range(3)
        ]
        return [Track([self._flight(*glued)]), *beside]

    def _twice(self) -> Play:
        """The same body by the connection and by the documented route, alone and as a batch of one, and again."""
        path, body = self._body()
        every = self.world.holder("every")
        accept = self.chance.choice(["", "", "text/plain"])
        plain = self.heads.plain(path, body, every, accept=accept)
        routed = self.heads.plain(f"{path}?x", body, every, accept=accept)
        flights = [Flight([each]) for each in (plain, routed, plain, routed)]
        if path == SINGLE:
            flights += [
                Flight([self.heads.plain(BATCH, each, every)]) for each in (body, b'{"evaluations":[' + body + b"]}")
            ]
        self.chance.shuffle(flights)
        return [Track(flights)]

    def _batches(self) -> Play:
        """A batch, and each of its items as the single question that it makes with the defaults."""
        asked: dict[str, Any] = self._asker().batch()
        mutator, every = self._mutator(), self._holder()
        defaults = {name: value for name, value in asked.items() if name not in {"evaluations", "options"}}
        items = asked["evaluations"] if isinstance(asked["evaluations"], list) else []
        singles = [{**defaults, **item} for item in items if isinstance(item, dict)]
        batch = self.heads.plain(BATCH, mutator.written(asked, changes=0), every)
        alone = [self.heads.plain(SINGLE, mutator.written(each, changes=0), every) for each in singles]
        together = [Flight([batch]), *[Flight([each]) for each in alone], Flight([batch])]
        return [Track(together), Track([self._flight(batch, *alone[:3], batch)])]

    def _cuts(self) -> Play:
        """One request cut at many of its bytes, or at each, and once at all of them."""
        (path, body), every = self._body(), self.world.holder("every")
        marked = self.heads.plain(path, body, every, marked=True)
        sent = self.chance.choice(
            [marked, marked, self.heads.varied(path, body, every, self._holder()), self._request()]
        )
        size = len(sent.data)
        places, most = list(range(1, size)), self.chance.choice([40, 40, 40, 400])
        if len(places) > most:
            places = sorted(self.chance.sample(places, most))
        tracks = [
            Track([Flight([sent], [at], 0.001) for at in places[first::40]]) for first in range(min(40, len(places)))
        ]
        if size < 600:  # noqa: PLR2004
            tracks.append(Track([Flight([sent], range(1, size), 0.0)]))
        return tracks
