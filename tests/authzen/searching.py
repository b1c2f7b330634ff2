"""AuthZEN searches in a few words."""

from tests.support.api import question, subject

SUBJECTS, ACTIONS = "/access/v1/search/subject", "/access/v1/search/action"
HANDLE = {"type": "correspondence", "id": "handle"}
MANY = [f"user-{number:02}" for number in range(12)]


def subjects(pdp, action="ads", kind="user", page=None, **properties):
    """One page of a subject search; `elements` and `automated` are the action's, the rest the resource's."""
    body = question("ignored", action, **properties)
    body["subject"] = {"type": kind}
    return pdp.ok("POST", SUBJECTS, body if page is None else {**body, "page": page})


def actions(pdp, name, page=None, **properties):
    """One page of an action search."""
    body = {"subject": subject(name), "resource": {**HANDLE, "properties": properties}}
    return pdp.ok("POST", ACTIONS, body if page is None else {**body, "page": page})


def ids(answer):
    """The ids of the subjects found."""
    return [each["id"] for each in answer["results"]]


def names(answer):
    """The names of the actions found."""
    return [each["name"] for each in answer["results"]]


def all_pages(search, limit):
    """The results of every page, page by page."""
    pages = [search({"limit": limit})]
    while pages[-1]["page"]["next_token"]:
        pages.append(search({"limit": limit, "token": pages[-1]["page"]["next_token"]}))
    return pages


def refused(pdp, path, body):
    """The fields at fault of a request that must be a 400."""
    answer = pdp.call("POST", path, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [each["field"] for each in answer.json().get("errors", [])]
