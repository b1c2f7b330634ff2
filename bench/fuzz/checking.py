"""One answer against what the oracle expects of its request, and against every other answer of the run."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from bench.fuzz.facts import Facts, Holder
from bench.fuzz.lines import Answer
from bench.fuzz.oracle import Expected, Item, expected
from bench.fuzz.reading import Heard
from bench.fuzz.tokens import Tokens

CLOCKS: Final = timedelta(milliseconds=500)
"""How far the service's estimate of the database's clock may be off: around the instant at which a version begins."""
_OF_EACH: Final = frozenset({"date", "content-length", "x-request-id", "connection"})
_MEDIA: Final = {True: "text/plain; charset=utf-8", False: "application/json"}
_PROBLEM: Final = "application/problem+json"
_OK: Final = 200
_FAILED: Final = 500
_BAD: Final = 400
_MANY: Final = 20_000
_SEVEN: Final = 7
_LONGEST_ID: Final = 128


@dataclass(slots=True)
class Checker:
    """Compares answers; `ids` are the decisions' ids so far, each to be seen once."""

    facts: Facts
    tokens: Tokens
    decisions: int = 0
    permits: int = 0
    ids: set[int] = field(default_factory=set)
    _texts: dict[Any, dict[int, str]] = field(default_factory=dict)
    _fields: dict[Any, dict[str, str]] = field(default_factory=dict)

    def wrong(self, heard: Heard, answer: Answer, began: datetime, ended: datetime) -> str | None:
        """What is wrong with an answer; None if it is one that the oracle gives."""
        if answer.status >= _FAILED:
            return f"failed: {answer.status} {answer.body!r}"
        try:
            return self._wrong(heard, answer, began, ended)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"no answer of this service ({error!r}): {answer.status} {answer.body[:300]!r}"

    def _wrong(self, heard: Heard, answer: Answer, began: datetime, ended: datetime) -> str | None:
        first, last = began - CLOCKS, ended + CLOCKS
        begun = {each.effective_from for one in self.facts.processings.values() for each in one.versions}
        # Between two versions that begin within this time an answer may be neither the first instant's nor the last's.
        moments = (first, *sorted(at for at in begun if at is not None and first < at < last), last)
        wanted = [expected(self.facts, heard, at) for at in moments]
        complaints = [self._compared(heard, each, answer) for each in dict.fromkeys(wanted)]
        if None not in complaints:
            return "; or ".join(filter(None, complaints))
        self._note(answer, wanted[complaints.index(None)])
        return self._edges(heard, answer) or self._like_others(heard, answer, wanted[0])

    def _compared(self, heard: Heard, wanted: Expected, answer: Answer) -> str | None:
        """What differs from one expectation."""
        media = answer.fields.get("content-type", "")
        if answer.status != wanted.status:
            return f"status {answer.status} in the place of {wanted.status}: {answer.body[:300]!r}"
        if wanted.status != _OK:
            said = json.loads(answer.body)
            slug = str(said.get("type", "")).rpartition(":")[2]
            wrong = media != _PROBLEM or said.get("status") != wanted.status or wanted.slug not in {"", slug}
            return f"the problem is {said}, not {wanted.slug}" if wrong else None
        if media != _MEDIA[wanted.word]:
            return f"media type {media}"
        if wanted.word:
            word = b"permit" if wanted.permits else b"deny"
            return None if answer.body == word else f"{answer.body!r} in the place of {word!r}"
        return self._decisions(self.facts.holder_of(heard.authorization), wanted, answer.body)

    def _decisions(self, holder: Holder, wanted: Expected, body: bytes) -> str | None:
        said = json.loads(body)
        listed = said["evaluations"] if wanted.batch else [said]
        if set(said) != ({"evaluations"} if wanted.batch else {"decision", "context"}):
            return f"members {sorted(said)}"
        if len(listed) != len(wanted.items):
            return f"{len(listed)} decisions in the place of {len(wanted.items)}"
        named = [each["context"].get("id") for each in listed if "id" in each["context"]]
        if len(set(named)) != len(named):
            return "two decisions have one id"
        for at, (each, item) in enumerate(zip(listed, wanted.items, strict=True)):
            wrong = self._decision(holder, item, each)
            if wrong is not None:
                return f"decision {at}: {wrong}"
        return None

    def _decision(self, holder: Holder, item: Item, said: dict[str, Any]) -> str | None:
        if set(said) != {"decision", "context"}:
            return f"members {sorted(said)}"
        context = dict(said["context"])
        identifier, token = context.pop("id", None), context.pop("decision_token", None)
        if said["decision"] is not item.permitted:
            return f"{said['decision']} ({context.get('reason')}) in the place of {item.permitted}: {item.context}"
        if "error" in context:
            right = set(context) == {"error"} and str(context["error"]["status"]) == item.context
            return None if right and identifier is None else f"{context} in the place of {item.context}"
        if json.dumps(context, sort_keys=True) != item.context:
            return f"{context} in the place of {item.context}"
        number = UUID(identifier)
        if number.version != _SEVEN or number.int in self.ids:
            return f"the id {number} is not a new one"
        return self.tokens.wrong(token, item, holder, number, context)

    def _note(self, answer: Answer, right: Expected) -> None:
        """Count what was decided, and remember the ids."""
        self.decisions, self.permits = self.decisions + len(right.items), self.permits + right.permits
        if answer.status != _OK or right.word:
            return
        said = json.loads(answer.body)
        listed = said["evaluations"] if right.batch else [said]
        self.ids.update(UUID(each["context"]["id"]).int for each in listed if "id" in each["context"])

    def _edges(self, heard: Heard, answer: Answer) -> str | None:
        """What is wrong around the decision: the connection's end, the echo of the request's id."""
        if answer.closes is not heard.closes:
            return f"it says {'close' if answer.closes else 'keep-alive'}"
        given = heard.request_id or ""
        if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
            echo = answer.fields.get("x-request-id")
            return None if echo == given else f"it is the answer to {echo}, not to {given}"
        return None

    def _like_others(self, heard: Heard, answer: Answer, wanted: Expected) -> str | None:
        """Whether the same body was answered in other words before, by whichever entrance, or with other fields."""
        fields = {name: value for name, value in answer.fields.items() if name not in _OF_EACH}
        scheme, _, token = (heard.authorization or "").partition(" ")
        shown = scheme.lower() == "bearer" and bool(token.strip())
        before = self._fields.setdefault((answer.status, wanted.slug, wanted.word, shown), fields)
        if before != fields:
            return f"fields {fields}, before {before}"
        key = (heard.path, heard.content_type, heard.body, wanted.slug, shown, heard.holds_nul)
        known = self._texts.setdefault(key, {}) if len(self._texts) < _MANY else self._texts.get(key, {})
        for at, text in _texts(answer).items():
            if known.setdefault(at, text) != text:
                return f"it says {text}, and said {known[at]} before"
        return None


def _texts(answer: Answer) -> dict[int, str]:
    """The messages of an answer that depend on its body alone: of a problem, or by the places of items."""
    if answer.fields.get("content-type") == _MEDIA[True]:
        return {}
    said = json.loads(answer.body)
    if answer.status != _OK:
        return {-1: json.dumps(said)}
    errors = {at: each["context"].get("error") for at, each in enumerate(said.get("evaluations", []))}
    return {at: error["message"] for at, error in errors.items() if error and error["status"] == _BAD}
