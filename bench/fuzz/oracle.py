"""What a request must be answered: read by a second reader of HTTP and of JSON, judged by the rules on recorded facts.

Nothing here is the service's own reading, memory or wording: `h11` and `tests.decisions.second_reader` read, and the
core's rules judge.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from app.api.http.exchange import MOST_BODY_BYTES
from app.core.decision import Decision, DecisionRequest, Reason
from app.core.processing import PartyMode
from app.core.wording import REASON_FOR_USER
from bench.fuzz.facts import Facts, Holder, reference
from bench.fuzz.reading import Heard
from tests.decisions.second_reader import parse, read

SINGLE: Final = "/access/v1/evaluation"
BATCH: Final = "/access/v1/evaluations"
MOST_BYTES: Final = MOST_BODY_BYTES
"""Of a body; the service under test is told so."""
_MEMBERS: Final = ("subject", "action", "resource", "context")
_SEMANTICS: Final = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
_MOST_ITEMS: Final = 1_000
_TEXT: Final = frozenset(
    {
        "text/plain",
        "TEXT/plain",
        "text/*",
        "text/plain;charset=utf-8",
        "text/plain, application/json;q=0.9",
        "application/json;q=0.5,text/plain;q=0.6",
        "application/json;q=0.2,text/plain",
        "text/plain,*/*;q=0.1",
        "text/plain,application/json;q=0.2",
    }
)
"""Values of Accept by which one word is worth more than JSON (RFC 9110, 12.5.1), among those that are sent."""

_NAME_THEM: Final = {
    "en": "The question does not say who takes part: name the other parties in resource.properties.participants, and "
    "send an empty list when there are none."
}


@dataclass(frozen=True, slots=True)
class Item:
    """One decision, or the status of an error in its place; `asked` is the question, where a token is wanted of it."""

    permitted: bool
    context: str
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer: its status, the problem's word if it is one, and its decisions; `word`: as text."""

    status: int
    slug: str = ""
    items: tuple[Item, ...] = ()
    batch: bool = False
    word: bool = False

    @property
    def permits(self) -> int:
        """How many permits it holds."""
        return sum(each.permitted for each in self.items)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is to be judged; `value` None: it cannot be read."""

    value: dict[str, Any] | None


_Batch = tuple[str, list[_Question]]
"""Its semantic and its questions."""


def expected(facts: Facts, heard: Heard, at: datetime) -> Expected:
    """What a request must be answered at an instant."""
    unwanted = _unwanted(heard)
    if unwanted is not None:
        return unwanted
    holder = facts.holder_of(heard.authorization)
    if not holder.in_force:
        return Expected(401, "unauthorized")
    if (heard.content_type or "").split(";")[0].strip().lower() != "application/json":
        return Expected(400, "malformed")
    batch = _batch(heard.body) if heard.path == BATCH else None
    if isinstance(batch, Expected):
        return batch
    if batch is None and read(heard.body, reference) is None:
        return Expected(400, "malformed")
    return _judged(facts, heard, holder, at, batch)


def _unwanted(heard: Heard) -> Expected | None:
    """What a request is answered whoever sends it: too large, with a NUL in its query, or to no decision endpoint."""
    if len(heard.body) > MOST_BYTES:
        return Expected(413, "too-large")
    if heard.holds_nul:
        return Expected(400, "malformed")
    if heard.path not in {SINGLE, BATCH}:
        return Expected(404)
    return Expected(405) if heard.method != "POST" else None


def _judged(facts: Facts, heard: Heard, holder: Holder, at: datetime, batch: _Batch | None) -> Expected:
    """What a request that can be read must be answered to a caller in force."""
    if not holder.evaluates:
        return Expected(403, "scope-missing")
    questions = [_Question(_parsed(heard.body))] if batch is None else batch[1]
    items = [_item(facts, each, at, holder) for each in questions]
    if batch is not None:
        return Expected(200, "", tuple(_until(items, batch[0])), batch=True)
    if items[0].context == "403":
        return Expected(403, "processing-not-allowed")
    return Expected(200, "", tuple(items), word=heard.accept in _TEXT)


@lru_cache(maxsize=2_000)
def _parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return parse(body)
    except (ValueError, RecursionError):
        return None


def _batch(body: bytes) -> Expected | _Batch | None:
    """The semantic and the questions of a batch; an answer where it is refused; None where it is a single question."""
    value = _parsed(body)
    if not isinstance(value, dict):
        return Expected(400, "malformed")
    listed, options = value.get("evaluations", []), value.get("options", {})
    semantic = options.get("evaluations_semantic", "execute_all") if isinstance(options, dict) else None
    if not isinstance(listed, list) or semantic not in _SEMANTICS:
        return Expected(400, "malformed")
    if not listed:
        return None
    if len(listed) > _MOST_ITEMS:
        return Expected(413, "too-large")
    defaults = {name: value[name] for name in _MEMBERS if name in value}
    return semantic, [_Question({**defaults, **each} if isinstance(each, dict) else None) for each in listed]


def _item(facts: Facts, question: _Question, at: datetime, holder: Holder) -> Item:
    request = read(json.dumps(question.value).encode(), reference) if question.value is not None else None
    if request is None or question.value is None:
        return Item(permitted=False, context="400")
    if not holder.may_name(request.processing):
        return Item(permitted=False, context="403")
    decision = facts.decide(request, at)
    said = _context(decision) | _left_unsaid(facts, request, decision, at)
    context = json.dumps(said, sort_keys=True)
    wants = question.value.get("context", {}).get("decision_token", False)
    token = None
    if wants and decision.permitted:
        elements = sorted(each.value for each in decision.elements or ())
        token = json.dumps({**question.value, "elements": elements}, sort_keys=True)
    return Item(decision.permitted, context, token)


def _until(items: list[Item], semantic: str) -> list[Item]:
    """The answers up to the one that ends them."""
    ending = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}[semantic]
    last = next((at for at, item in enumerate(items) if item.permitted is ending), len(items))
    return items[: last + 1]


def _context(decision: Decision) -> dict[str, Any]:
    said: dict[str, Any] = {
        "reason": decision.reason.value,
        "article": decision.article.value if decision.article is not None else None,
        "law_version": decision.law_version,
        "consent": str(decision.consent) if decision.consent is not None else None,
        "expires_at": _instant(decision.expires_at),
        "valid_until": _instant(decision.valid_until),
        "reason_user": dict(REASON_FOR_USER[decision.reason]),
    }
    return {name: value for name, value in said.items() if value is not None}


def _left_unsaid(facts: Facts, request: DecisionRequest, decision: Decision, at: datetime) -> dict[str, Any]:
    """What the caller's operator is told when participants were asked for and none were named, nor said to be none."""
    if decision.reason is not Reason.OTHER_PARTY or request.participants is not None:
        return {}
    version = facts.processings[request.processing].version_at(at)
    return {} if version is None or version.party_mode is PartyMode.USER_ONLY else {"reason_admin": _NAME_THEM}


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z" if at is not None else None
