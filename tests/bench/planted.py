"""A worker with faults that can be switched on: `python -m tests.bench.planted PORT`. Nothing in `app` knows them.

It is served by `app.serving.serve`, as `sceau serve` is. FUZZ_FAULT names a file, which names the fault that is on.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jiter

from app.api.decisions import endpoint, reading
from app.api.decisions.endpoint import DecisionProtocol
from app.api.decisions.models import EvaluationRequest
from app.api.http.exchange import first_fields
from app.api.http.wire import BadJsonError
from app.operations.decisions.from_memory import RememberedDecisions
from app.serving import serve


def exchanged_ids(read: Callable[..., Any]) -> Callable[..., Any]:
    """In a question that names the correspondence before the subject, each is taken for the other."""

    def read_question(body: bytes, refs: Any) -> Any:
        read(body, refs)  # what is malformed is refused as ever
        value = reading.read_object(body)
        names = list(value)
        if names.index("resource") < names.index("subject"):
            subject, resource = value["subject"]["id"], value["resource"]["id"]
            value["subject"]["id"], value["resource"]["id"] = resource, subject
        return reading.question_of(reading.read_members(EvaluationRequest, value), refs)

    return read_question


def forgotten_subject(get: Callable[..., Any]) -> Callable[..., Any]:
    """A decision is remembered for its circumstances and its parties, whomever it is about."""
    kept: dict[Any, Any] = {}

    def found(self: RememberedDecisions, key: Any, register: Any, *more: Any) -> Any:
        judged = get(self, key, register, *more)
        return kept.setdefault((id(register), key[0], key[2]), judged) if judged is not None else None

    return found


def key_of_the_one_before(begin: Callable[..., None]) -> Callable[..., None]:
    """A request that is glued to another is judged by the key of the first of them."""
    receive = DecisionProtocol.data_received
    first: dict[DecisionProtocol, tuple[bytes, bytes]] = {}

    def data_received(self: DecisionProtocol, data: bytes) -> None:
        first.pop(self, None)
        receive(self, data)

    def begin_request(self: DecisionProtocol, _: Mapping[bytes, bytes]) -> None:
        shown = next((each for each in self.headers if each[0] == b"authorization"), (b"authorization", b""))
        self.headers[:] = [first.setdefault(self, shown), *self.headers]
        begin(self, first_fields(self.headers))

    setattr(DecisionProtocol, data_received.__name__, data_received)
    return begin_request


def lost_byte(take: Callable[..., None]) -> Callable[..., None]:
    """A body that comes in two pieces loses a letter or a digit at the seam."""

    def on_body(self: DecisionProtocol, body: bytes) -> None:
        take(self, body[1:] if self._body and body[:1].isalnum() else body)

    return on_body


def last_of_two_members(_: Callable[..., Any]) -> Callable[..., Any]:
    """Of a member that stands twice the last counts."""

    def parse(body: bytes) -> Any:
        try:
            return jiter.from_json(body, allow_inf_nan=False)
        except ValueError:
            raise BadJsonError("It is not JSON.") from None

    return parse


FAULTS: dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "exchanged ids": (endpoint, "read_question", exchanged_ids),
    "forgotten subject": (RememberedDecisions, "get", forgotten_subject),
    "key of the one before": (DecisionProtocol, "begin_request", key_of_the_one_before),
    "lost byte": (DecisionProtocol, "on_body", lost_byte),
    "last of two members": (reading, "parse", last_of_two_members),
}
"""By name: what is replaced, and what makes the replacement."""


def plant(name: str, switch: Path) -> None:
    """Put a faulty function in the place of a good one, in use while the switch says so."""
    of, attribute, make = FAULTS[name]
    good = getattr(of, attribute)
    bad = make(good)

    def either(*arguments: Any) -> Any:
        return (bad if switch.read_text() == name else good)(*arguments)

    setattr(of, attribute, either)


def main() -> None:
    """Plant every fault, and serve until SIGTERM."""
    for name in FAULTS:
        plant(name, Path(os.environ["FUZZ_FAULT"]))
    serve("127.0.0.1", int(sys.argv[1]), 1, jobs=False)


if __name__ == "__main__":
    main()
