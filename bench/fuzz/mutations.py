"""What is done to a body before it is sent: members permuted or twice, ids exchanged, other values, escapes, bytes.

No mutation knows what its body then means: the oracle reads it.
"""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from bench.fuzz.bodies import Members, Writer, objects, tree
from bench.fuzz.facts import MARK

_ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 1.5, 1e3, "", "FR", "content", "online", "true", "user", "é", "a\tb", "\u200b"),
    *("x" * 512, "x" * 513, "a\0b", "\ud800", "\u00a0", "\u2028", "fr", "FRA"),
    *([], Members(), [[]], ["content"], ["soul"], [None], Members([("id", "x")])),
)
_UNKNOWN: Final = ("more", "ID", "Id", "id ", "types", "subject_id", "properties2", "", "é", "decision", "evaluation")
_PLACES: Final = ("id", "type", "name", "local")


@dataclass(slots=True)
class Mutator:
    """Changes bodies."""

    chance: random.Random
    subjects: list[str]

    def written(self, value: Any, *, changes: int | None = None) -> bytes:  # noqa: ANN401 - JSON
        """A body, changed so many times (some by default), written in one manner or another."""
        root = tree(value)
        steps = self.chance.choice([0, 0, 1, 1, 2, 3]) if changes is None else changes
        for _ in range(steps):
            self.chance.choices([change for _, change in self._changes()], [share for share, _ in self._changes()])[0](
                root
            )
        if self.chance.random() < 0.6:  # noqa: PLR2004 - shares
            self.permute(root)
        blanks, escaped = self.chance.random() < 0.3, self.chance.random() < 0.3  # noqa: PLR2004
        share = self.chance.choice([0.02, 0.2, 1.0]) if escaped else 0.0
        writer = Writer(self.chance, blanks, share, ascii_only=self.chance.random() < 0.5)  # noqa: PLR2004
        body = writer.write(root).encode("utf-8", "surrogatepass")
        return self.bytes_changed(body) if steps and self.chance.random() < 0.15 else body  # noqa: PLR2004

    def _changes(self) -> tuple[tuple[int, Callable[[Any], None]], ...]:
        return (
            (6, self.exchange),
            (4, self.exchange_types),
            (4, self.put_odd),
            (4, self.add_unknown),
            (4, self.double),
            (2, self.drop),
            (2, self.put_id_elsewhere),
        )

    def permute(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Give the members of every object another order."""
        for each in objects(root):
            self.chance.shuffle(each)

    def exchange(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Exchange two ids: of the subject, the correspondence, the participants."""
        self._exchange(root, "id")

    def exchange_types(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Exchange two types."""
        self._exchange(root, "type")

    def _exchange(self, root: Any, name: str) -> None:  # noqa: ANN401 - JSON
        places = [(each, at) for each in objects(root) for at, (found, _) in enumerate(each) if found == name]
        if len(places) > 1:
            (one, first), (other, second) = self.chance.sample(places, 2)
            one[first], other[second] = (name, other[second][1]), (name, one[first][1])

    def put_odd(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Put something else in one place."""
        of, at = self._place(root)
        if of is not None:
            of[at] = (of[at][0], deepcopy(self.chance.choice(_ODD)))  # a copy: it may be changed in its turn

    def drop(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Leave a member out."""
        of, at = self._place(root)
        if of is not None:
            del of[at]

    def add_unknown(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Add a member that the specification says to ignore; it may look like another."""
        of = self.chance.choice(list(objects(root)) or [Members()])
        value = self.chance.choice([*_ODD, Members([("id", self._id()), ("type", "user")]), self._id()])
        of.insert(self.chance.randrange(len(of) + 1), (self.chance.choice(_UNKNOWN), deepcopy(value)))

    def double(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Have a member stand twice, with another value or the same."""
        of, at = self._place(root)
        if of is not None:
            name, value = of[at]
            other = deepcopy(value) if self.chance.random() < 0.3 else self._id() if name in _PLACES else Members()  # noqa: PLR2004
            of.insert(self.chance.randrange(len(of) + 1), (name, other))

    def put_id_elsewhere(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Put somebody's id where a word belongs, such as the name of the processing."""
        of, at = self._place(root)
        if of is not None and isinstance(of[at][1], str):
            of[at] = (of[at][0], self._id())

    def _place(self, root: Any) -> tuple[Members | None, int]:  # noqa: ANN401 - JSON
        full = [each for each in objects(root) if each]
        if not full:
            return None, 0
        of = self.chance.choice(full)
        return of, self.chance.randrange(len(of))

    def _id(self) -> str:
        return self.chance.choice([*self.subjects, f"{MARK}-nobody"])

    def bytes_changed(self, body: bytes) -> bytes:
        """Change bytes without regard to JSON."""
        at = self.chance.randrange(len(body) + 1)
        piece = self.chance.choice(
            [b"", b"{", b'"', b",", b"}", b"\\", b"\xff", b"\0", b"\xc3\x28", b"1", b" ", b"\r\n"]
        )
        return self.chance.choice(
            [
                body[:at] + piece + body[at + 1 :],
                body[:at] + piece + body[at:],
                body[:at],
                body + self.chance.choice([b" ", b"\n", b"{}", b",", b"\0", body]),
                b"\xef\xbb\xbf" + body,
                b"[" + body + b"]",
                body.decode("utf-8", "replace").encode("utf-16"),
                b"",
            ]
        )
