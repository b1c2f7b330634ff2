"""A register that takes two persons: one who proposes, one who approves, and a program."""

from typing import Any

from tests.support.api import Api, processing

SCOPES = ("register:read", "register:write", "register:approve", "consents:write", "decisions:evaluate")
WHY = "Checked against the record of processing activities."


def person(api: Api, name: str, *scopes: str, kind: str = "person") -> Api:
    """A caller with those scopes, or, if none is named, with all that the register needs."""
    made = api.ok("POST", "/v1/keys", {"name": name, "kind": kind, "scopes": list(scopes or SCOPES)})
    return api.with_key(made["key"])


def version(identifier: str, **more: Any) -> dict[str, Any]:
    """A full new version of a processing that was registered as `processing` says."""
    body = {**processing(identifier), "material": False, **more}
    del body["id"]
    return body


def add(api: Api, identifier: str, **more: Any) -> Any:
    """Add a version."""
    return api.call("POST", f"/v1/processings/{identifier}/versions", version(identifier, **more))


def rule(api: Api, identifier: str, number: int, *, approved: bool = True) -> Any:
    """Approve a version, or reject it."""
    ruling = {"processing": identifier, "version": number, "approved": approved, "reason": WHY}
    return api.call("POST", "/v1/rulings", ruling)


def answer(api: Api, proposal: str, *, approved: bool = True, reason: str = WHY, **more: Any) -> Any:
    """Approve a proposal, or reject it."""
    return api.call("POST", "/v1/rulings", {"proposal": proposal, "approved": approved, "reason": reason, **more})


def waiting(api: Api, kind: str) -> list[dict[str, Any]]:
    """What waits of one kind of proposal, oldest first."""
    items = api.ok("GET", "/v1/proposals")["items"]
    return [each for each in items if (each["kind"], each["state"]) == (kind, "proposed")]


def states(api: Api, identifier: str) -> list[tuple[int, str]]:
    """Number and state of each version."""
    items = api.ok("GET", f"/v1/processings/{identifier}/versions")["items"]
    return [(each["number"], each["state"]) for each in items]


def other_words(api: Api, identifier: str, notice: dict[str, str]) -> None:
    """Change the notice of a processing in a version that is not material, which one proposes and another approves."""
    ada, bob = person(api, "Ada"), person(api, "Bob", "register:approve")
    made = add(ada, identifier, notice=notice, reason="Clearer words.").json()
    approved = rule(bob, identifier, made["proposed_version"])
    assert approved.status_code == 201, approved.text
