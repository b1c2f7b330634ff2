"""Bodies of requests: questions as trees whose members have an order and may stand twice, and how trees are written."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bench.fuzz.facts import MARK
from bench.fuzz.world import World

_BLANKS: Final = ("", "", "", " ", "\n", "\t", "\r\n", "  ")
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "/": "\\/"}
_ALTERNATIVES: Final = {
    "automated": (*[True] * 9, False),
    "channel": (*["online"] * 5, "text_message"),
    "private": (*[True] * 9, False),
    "territory": (*["FR"] * 5, "RE", "RE", "WF", "DE"),
}


class Members(list[tuple[str, Any]]):
    """An object of JSON with its members in their order."""


def tree(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A JSON value whose objects are `Members`."""
    if isinstance(value, dict):
        return Members((name, tree(member)) for name, member in value.items())
    return [tree(each) for each in value] if isinstance(value, list) else value


def objects(value: Any) -> Iterator[Members]:  # noqa: ANN401 - JSON
    """Every object in a tree, the outermost first."""
    if isinstance(value, Members):
        yield value
        for _, member in value:
            yield from objects(member)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


@dataclass(slots=True)
class Writer:
    """Writes trees as JSON: `blanks` between tokens, a share `escapes` of characters escaped."""

    chance: random.Random
    blanks: bool = False
    escapes: float = 0.0
    ascii_only: bool = True

    def write(self, value: Any) -> str:  # noqa: ANN401 - JSON
        """A value as JSON."""
        if isinstance(value, Members):
            return self._listed("{}", [f"{self._text(name)}{self._blank()}:{self.write(each)}" for name, each in value])
        if isinstance(value, list):
            return self._listed("[]", [self.write(each) for each in value])
        text = self._text(value) if isinstance(value, str) else json.dumps(value)
        return f"{self._blank()}{text}{self._blank()}"

    def _listed(self, brackets: str, parts: list[str]) -> str:
        inner = ",".join(f"{self._blank()}{part}{self._blank()}" for part in parts)
        return f"{self._blank()}{brackets[0]}{inner}{self._blank()}{brackets[1]}{self._blank()}"

    def _blank(self) -> str:
        return self.chance.choice(_BLANKS) if self.blanks else ""

    def _text(self, text: str) -> str:
        if not self.escapes:
            return json.dumps(text, ensure_ascii=self.ascii_only)
        return '"' + "".join(self._character(each) for each in text) + '"'

    def _character(self, character: str) -> str:
        if self.chance.random() < self.escapes:
            if character in _SHORT and self.chance.random() < 0.5:  # noqa: PLR2004 - half of them
                return _SHORT[character]
            units = character.encode("utf-16-be", "surrogatepass").hex()
            digits = self.chance.choice([str.lower, str.upper])(units)
            return "".join(f"\\u{digits[at : at + 4]}" for at in range(0, len(digits), 4))
        return json.dumps(character, ensure_ascii=False)[1:-1]


@dataclass(slots=True)
class Asker:
    """Makes questions about a world, as a caller would put them."""

    world: World
    chance: random.Random
    _names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Know the processings, and one that nobody registered."""
        weights = {"own": 8, "locals": 6, "parties": 6, "coming": 4, "wavering": 3, "exempt": 2}
        for identifier in self.world.facts.processings:
            self._names += [identifier] * weights.get(identifier.removeprefix(self.world.tag), 1)
        self._names.append(f"{MARK}-unregistered")

    def question(self) -> dict[str, Any]:
        """One question."""
        chance, subjects = self.chance, self.world.facts.subjects
        asked: dict[str, Any] = {
            "subject": {"type": chance.choices(["user", "mailbox", "item"], [8, 2, 1])[0], "id": self._subject()},
            "action": {"name": chance.choice(self._names)},
            "resource": {"type": chance.choice(["correspondence", "correspondence", "user"]), "id": self._handle()},
        }
        how = {"elements": self._elements, "automated": None}
        self._fill(asked["action"], how)
        self._fill(asked["resource"], {"channel": None, "private": None, "territory": None})
        if chance.random() < 0.9:  # noqa: PLR2004 - shares
            number = chance.choice([0, 0, 0, 0, 1, 1, 2, 6])
            locals_ = [{"id": chance.choice(subjects), "local": chance.random() < 0.8} for _ in range(number)]  # noqa: PLR2004
            asked["resource"].setdefault("properties", {})["participants"] = locals_
        if chance.random() < 0.4:  # noqa: PLR2004
            asked["context"] = {"decision_token": True} if chance.random() < 0.4 else {}  # noqa: PLR2004
        return asked

    def _fill(self, of: dict[str, Any], more: dict[str, Callable[[], Any] | None]) -> None:
        """Give an object some properties, or none."""
        if self.chance.random() < 0.5:  # noqa: PLR2004 - half
            return
        said = {
            name: make() if make is not None else self.chance.choice(_ALTERNATIVES[name])
            for name, make in more.items()
            if self.chance.random() < 0.4  # noqa: PLR2004 - a share
        }
        of["properties"] = said

    def _subject(self) -> str:
        name = self.chance.choice(self.world.facts.subjects)
        return self.chance.choice([name, name, name, name.upper(), name.casefold()]) if len(name) < 100 else name  # noqa: PLR2004

    def _handle(self) -> str:
        """A handle, or what is somebody's id elsewhere."""
        if self.chance.random() < 0.3:  # noqa: PLR2004 - a share
            return self.chance.choice(self.world.facts.subjects)
        return f"{MARK}-handle-{self.chance.randrange(4)}"

    def _elements(self) -> Any:  # noqa: ANN401 - JSON
        words = ["content", "subject_line", "attachments", "correspondent_identity"]
        if self.chance.random() < 0.2:  # noqa: PLR2004 - a share
            return self.chance.choice([None, []])
        return self.chance.choices(words, [16, 6, 1, 1], k=self.chance.choice([1, 1, 1, 2, 3]))

    def batch(self) -> dict[str, Any]:
        """Several questions; what some leave out is said once for all."""
        chance = self.chance
        items: list[Any] = [self.question() for _ in range(chance.choice([1, 2, 3, 3, 5, 8, 30]))]
        asked: dict[str, Any] = {}
        for name in ("subject", "action", "resource", "context"):
            if chance.random() < 0.6:  # noqa: PLR2004 - a share
                asked[name] = self.question().get(name, {})
            for item in items:
                if chance.random() < 0.5 and (name in asked or chance.random() < 0.1):  # noqa: PLR2004
                    item.pop(name, None)
        if chance.random() < 0.2:  # noqa: PLR2004
            items.insert(chance.randrange(len(items) + 1), chance.choice([7, None, [], "x", {}, {"subject": {}}]))
        asked["evaluations"] = items if chance.random() < 0.95 else chance.choice([[], None, {}])  # noqa: PLR2004
        if chance.random() < 0.5:  # noqa: PLR2004
            words = ["execute_all", "deny_on_first_deny", "permit_on_first_permit", "any", None]
            asked["options"] = {"evaluations_semantic": chance.choices(words, [3, 4, 4, 1, 1])[0]}
        return asked
