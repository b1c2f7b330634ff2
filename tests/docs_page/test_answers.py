"""The answers that the page at /docs shows are those that the application gives.

After a change of an answer: `SCEAU_TEST_WRITE_ANSWERS=1 ./dev test tests/docs_page/test_answers.py`.
"""

import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest

from app.api.openapi import ANSWERS, kept_answers
from tests.docs_page.answers import SETTINGS, play_all, without_secrets
from tests.docs_page.test_docs_page import answers_of, operations
from tests.support.api import TestClock, running
from tests.support.databases import new_database

OF_THE_MOMENT = ("readyz", "next_at")
"""What is told at some moments only: how the process stands, and when a delivery is tried that waits."""
SHOWN = ("application/json", "application/ld+json")


class Ticking(TestClock):
    """A clock that goes on a little whenever it is read, so that no two things are recorded at one instant."""

    def read(self, database_now):
        """The next instant."""
        self.at += timedelta(milliseconds=7)
        return super().read(database_now)


@pytest.fixture(scope="module")
def played():
    """What every operation answers today, and the document."""
    clock = Ticking(datetime.now(UTC))
    with new_database() as database, running(database, clock=clock, **SETTINGS) as api:
        answers = play_all(api, database)
        document = api.ok("GET", "/openapi.json")
    if "SCEAU_TEST_WRITE_ANSWERS" in os.environ:
        ANSWERS.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        kept_answers.cache_clear()
    return answers, document


def members(value, above=""):
    """The paths of all members of an answer, whatever their values are and how many."""
    if isinstance(value, dict):
        named = {f"{above}.{name}": each for name, each in value.items() if name not in OF_THE_MOMENT}
        return set(named).union(*(members(each, path) for path, each in named.items()))
    return set().union(*(members(each, f"{above}[]") for each in value)) if isinstance(value, list) else set()


def contents(document):
    """Each type of JSON of each answer of success: operation id, status, schema, and example or its type's."""
    schemas = document["components"]["schemas"]
    for operation in operations(document).values():
        for status, answer in answers_of(document, operation).items():
            for media_type, content in answer.get("content", {}).items():
                if status.startswith("2") and media_type in SHOWN:
                    stated = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
                    example = content.get("example", *stated.get("examples", [None])[:1])
                    yield operation["operationId"], status, content.get("schema"), example


def test_every_answer_in_json_has_an_example(played):
    """Whatever is answered in JSON where an operation succeeds is shown as it was answered once."""
    _, document = played
    without = {(name, status) for name, status, _, example in contents(document) if example is None}
    assert without == set()


def test_examples_are_what_is_answered_today(played):
    """The answers that are kept have the members of those that were just given."""
    answers, _ = played
    assert members(kept_answers()) == members(answers)


def test_examples_are_of_the_types_that_the_document_states(played):
    """Each example is valid by the schema beside it; the check sees one that is not."""
    import jsonschema  # type: ignore[import-untyped] # which check-jsonschema brings; it takes a second to import

    _, document = played
    checked = 0
    for name, _, stated, example in contents(document):
        if stated is None:
            continue
        schema = {**stated, "components": document["components"]}
        problems = list(jsonschema.Draft202012Validator(schema).iter_errors(example))
        assert problems == [], name
        checked += 1
    assert checked > 50
    wrong = {"$ref": "#/components/schemas/KeyBody", "components": document["components"]}
    assert not jsonschema.Draft202012Validator(wrong).is_valid({"id": 1})


def test_every_problem_is_shown_under_its_own_status(played):
    """A real problem document stands beside each status that several operations refuse with, and none beside others."""
    _, document = played
    shared = document["components"]["responses"]
    shown = {
        name: answer["content"]["application/problem+json"]["example"]["status"] for name, answer in shared.items()
    }
    assert {name: f"E{status}" for name, status in shown.items()} == {name: name.partition("_")[0] for name in shown}
    wrong = {
        (operation["operationId"], status)
        for operation in operations(document).values()
        for status, answer in operation["responses"].items()
        if not status.startswith("2") and not answer.get("$ref", "").startswith(f"#/components/responses/E{status}")
        for content in answer.get("content", {}).values()
        if "example" in content
    }
    assert wrong == set()


def test_examples_hold_no_secret():
    """No key, secret or link of the deployment that was asked stands in the file."""
    text = ANSWERS.read_text(encoding="utf-8")
    assert without_secrets(text) == text
    assert re.search(r"sceau_x{43}", text)
