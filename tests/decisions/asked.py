"""Some sixty requests to the decision endpoints: the usual ones, the odd ones, and each way to be wrong."""

import json
from typing import Any

from tests.support.api import BOOTSTRAP, question

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
JSON = {"Content-Type": "application/json"}
KEY = {"Authorization": f"Bearer {BOOTSTRAP}"}
ALICE = question("alice", "ads-mail")


def _body(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _asked(body: Any, path: str = ONE, **headers: str | None) -> tuple[str, dict[str, str], bytes]:
    """A request: its path, its headers (a name's `_` stands for `-`; None takes one away) and its body."""
    sent = {**KEY, **JSON, "X-Request-ID": "pinned"}
    for name, value in headers.items():
        written = {name.lower(): name for name in sent}.get(name.replace("_", "-").lower(), name.replace("_", "-"))
        if value is None:
            sent.pop(written)
        else:
            sent[written] = value
    return path, sent, _body(body)


def _with(place: str, value: Any) -> dict[str, Any]:
    """Alice's question with something else in one place, such as `subject.id`."""
    made: dict[str, Any] = json.loads(json.dumps(ALICE))
    *path, last = place.split(".")
    inner = made
    for step in path:
        inner = inner[step]
    inner[last] = value
    return made


def _batch(*items: Any, **more: Any) -> dict[str, Any]:
    return {**ALICE, "evaluations": list(items), **more}


BOB = {"subject": {"type": "user", "id": "bob"}}
FILTER = {"action": {"name": "filter"}}

REQUESTS: dict[str, tuple[str, dict[str, str], bytes]] = {
    "permit": _asked(ALICE),
    "deny": _asked(question("bob", "ads-mail")),
    "refused": _asked(question("carol", "ads-mail")),
    "exempt": _asked(question("alice", "filter")),
    "other purpose": _asked(question("alice", "archive")),
    "unknown processing": _asked(question("alice", "none")),
    "suspended": _asked(question("alice", "suspended")),
    "human": _asked(question("alice", "ads-mail", automated=False)),
    "undeclared element": _asked(question("alice", "ads-mail", elements=["attachments"])),
    "one element": _asked(question("alice", "ads-mail", elements=["content"])),
    "elements twice": _asked(question("alice", "ads-mail", elements=["content", "content"])),
    "no elements": _asked(question("alice", "ads-mail", elements=[])),
    "elements null": _asked(question("alice", "ads-mail", elements=None)),
    "text message": _asked(question("alice", "ads-mail", channel="text_message")),
    "public": _asked(question("alice", "ads-mail", private=False)),
    "elsewhere": _asked(question("alice", "ads-mail", territory="DE")),
    "parties not said": _asked(question("alice", "all-parties")),
    "parties null": _asked(question("alice", "all-parties", participants=None)),
    "no parties": _asked(question("alice", "all-parties", participants=[])),
    "a local party without consent": _asked(
        question("alice", "all-parties", participants=[{"id": "bob", "local": True}])
    ),
    "a local party with consent": _asked(
        question("alice", "all-parties", participants=[{"id": "dave", "local": True}])
    ),
    "a party from elsewhere": _asked(question("alice", "all-parties", participants=[{"id": "eve", "local": False}])),
    "capitals": _asked(question("ALICE", "ads-mail")),
    "escapes": _asked(json.dumps(ALICE).replace("alice", "\\u0061lice").encode()),
    "accents": _asked(json.dumps(question("élise", "ads-mail"), ensure_ascii=False).encode()),
    "unknown members": _asked({**ALICE, "more": {"deep": [1, {"x": None}]}}),
    "unknown members inside": _asked(_with("subject.properties", {"department": "x"})),
    "context": _asked({**ALICE, "context": {"ip": "192.0.2.1"}}),
    "token": _asked({**ALICE, "context": {"decision_token": False}}),
    "text": _asked(ALICE, Accept="text/plain"),
    "text of a deny": _asked(question("bob", "ads-mail"), Accept="text/plain"),
    "text or json": _asked(ALICE, Accept="text/plain;q=0.5, application/json"),
    "charset": _asked(ALICE, Content_Type="application/json; charset=utf-8"),
    "no content type": _asked(ALICE, Content_Type=None),
    "form": _asked(ALICE, Content_Type="application/x-www-form-urlencoded"),
    "no request id": _asked(ALICE, X_Request_ID="x" * 200),
    "no key": _asked(ALICE, Authorization=None),
    "wrong key": _asked(ALICE, Authorization="Bearer sceau_" + "w" * 43),
    "basic": _asked(ALICE, Authorization="Basic YTpi"),
    "lower case scheme": _asked(ALICE, Authorization=f"bearer {BOOTSTRAP}"),
    "no key and malformed": _asked(b"{", Authorization=None),
    "wrong key and malformed": _asked(b"{", Authorization="Bearer sceau_" + "w" * 43),
    "empty": _asked(b""),
    "no json": _asked(b"{"),
    "a list": _asked([ALICE]),
    "a string": _asked('"x"'),
    "twice": _asked(json.dumps(ALICE).replace('"subject"', '"subject": {}, "subject"').encode()),
    "twice inside": _asked(json.dumps(ALICE).replace('"id"', '"id": "bob", "id"').encode()),
    "not utf-8": _asked(json.dumps(ALICE).encode().replace(b"alice", b"\xff")),
    "surrogate": _asked(json.dumps(ALICE).replace("alice", "\\ud800").encode()),
    "nul in an id": _asked(_with("subject.id", "a\0b")),
    "control in an id": _asked(_with("resource.id", "a\tb")),
    "empty id": _asked(_with("subject.id", "")),
    "long id": _asked(_with("subject.id", "x" * 513)),
    "number as id": _asked(_with("subject.id", 1)),
    "no subject": _asked({name: value for name, value in ALICE.items() if name != "subject"}),
    "subject null": _asked(_with("subject", None)),
    "no name": _asked(_with("action", {})),
    "zero as boolean": _asked(question("alice", "ads-mail", private=0)),
    "unknown channel": _asked(question("alice", "ads-mail", channel="pigeon")),
    "unknown element": _asked(question("alice", "ads-mail", elements=["soul"])),
    "territory in lower case": _asked(question("alice", "ads-mail", territory="fr")),
    "local missing": _asked(question("alice", "ads-mail", participants=[{"id": "bob"}])),
    "deep": _asked(b"[" * 5_000 + b"]" * 5_000),
    "batch": _asked(_batch({}, BOB, FILTER), MANY),
    "batch of nothing": _asked(_batch(), MANY),
    "batch without items": _asked(ALICE, MANY),
    "batch with a bad item": _asked(_batch({}, {"subject": {}}, 7, BOB), MANY),
    "batch with a bad default": _asked({**_batch({}, BOB), "subject": 7}, MANY),
    "batch without a subject": _asked({"evaluations": [{}], "action": ALICE["action"]}, MANY),
    "batch to the first deny": _asked(
        _batch({}, BOB, {}, options={"evaluations_semantic": "deny_on_first_deny"}), MANY
    ),
    "batch to the first permit": _asked(
        _batch(BOB, {}, BOB, options={"evaluations_semantic": "permit_on_first_permit"}), MANY
    ),
    "batch by an unknown semantic": _asked(_batch({}, options={"evaluations_semantic": "any"}), MANY),
    "batch of no list": _asked({**ALICE, "evaluations": {}}, MANY),
    "batch that is too long": _asked(_batch(*[{}] * 1_001), MANY),
    "batch of text": _asked(_batch({}, BOB), MANY, Accept="text/plain"),
    "text of an empty batch": _asked(_batch(), MANY, Accept="text/plain"),
}
"""By name: path, headers and body. `tests/decisions/answers.yaml` holds what each is answered."""
