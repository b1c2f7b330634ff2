"""The OpenAPI document tells words and patterns to people."""

from typing import Any

from app.api.openapi import PATTERNS, tell_patterns, tell_words, words_of
from tests.docs_page.test_docs_page import operations

SCHEMAS: dict[str, Any] = {
    "Colour": {"enum": ["red", "green"]},
    "Tree": {
        "properties": {"leaf": {"$ref": "#/components/schemas/Colour"}, "child": {"$ref": "#/components/schemas/Tree"}}
    },
}


def patterns_untold(node, description=""):
    """The patterns of a document whose own description, or that of the parameter around, lacks their words."""
    if isinstance(node, list):
        return [found for each in node for found in patterns_untold(each, description)]
    if not isinstance(node, dict):
        return []
    here = str(node.get("description", ""))
    pattern = node.get("pattern")
    is_told = PATTERNS.get(str(pattern), str(pattern)) in here + description
    untold = [pattern] if isinstance(pattern, str) and not is_told else []
    return untold + [found for each in node.values() for found in patterns_untold(each, here)]


def test_every_pattern_is_told_in_words(document):
    """Whoever reads the page needs no regular expressions; the check sees a pattern without words."""
    assert patterns_untold(document) == []
    assert patterns_untold({"a": {"pattern": "^x$", "description": "Something."}}) == ["^x$"]


def test_a_parameter_tells_its_pattern_where_the_page_shows_it():
    """A pattern within alternatives is told at the parameter, after what that says, and once."""
    parameter = {
        "in": "query",
        "description": "Where",
        "schema": {"anyOf": [{"pattern": "^[A-Z]{2}$"}, {"type": "null"}]},
    }
    tell_patterns(parameter)
    tell_patterns(parameter)
    assert parameter["description"] == "Where. Two capital letters, such as `FR`."


def test_every_word_of_a_body_is_told(document):
    """The description of an operation has a line for each member of its body that takes some words only."""
    schemas = document["components"]["schemas"]
    count = 0
    for operation in operations(document).values():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        for member, words in words_of(body, schemas) if body is not None else ():
            assert f"- `{member}`: {', '.join(f'`{word}`' for word in words)}" in operation["description"]
            count += 1
    assert count > 50


def test_words_of_a_type_that_holds_itself_are_found_once():
    """The walk ends; a member within another is named by its path."""
    body = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
    assert list(words_of(body, SCHEMAS)) == [("leaf", ["red", "green"])]
    assert list(words_of({"properties": {"top": body}}, SCHEMAS)) == [("top.leaf", ["red", "green"])]


def test_an_operation_without_words_is_left_as_it_is():
    """No body, or a body of free text only, gets no list."""
    operation = {"description": "Does it."}
    tell_words(operation, SCHEMAS)
    assert operation == {"description": "Does it."}
