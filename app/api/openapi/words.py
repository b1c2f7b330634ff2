"""Which words the members of a body take, and what their patterns ask for, as somebody at /docs reads it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
PATTERNS: Final[Mapping[str, str]] = {
    r"^[a-z0-9][a-z0-9._-]{0,99}$": (
        "At most 100 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."
    ),
    r"^[a-z0-9][a-z0-9._-]{0,63}$": (
        "At most 64 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."
    ),
    r"^[A-Za-z0-9._-]{1,64}$": "At most 64 letters, digits, `.`, `_` and `-`.",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits, lower-case.",
    r"^[0-9A-Fa-f]{64}$": "64 hexadecimal digits.",
    r"^[A-Z]{2}$": "Two capital letters, such as `FR`.",
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$": "A language tag, such as `fr` or `en-GB`.",
    r"^P[0-9YMWDTHS]{2,40}$": "A duration, such as `P30D`, `P6M` or `PT12H`.",
    r"^P[1-9][0-9]{0,2}[YMWD]$": "A number of years, months, weeks or days: `P1Y`, `P6M`, `P26W`, `P90D`.",
    r"^[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$": (
        "A level from 0, then the index in groups of three digits, each but the last behind an `x`: `0/x001/067`; "
        "`.p/` and a width for a tile that is not full: `0/067.p/12`."
    ),
    r"\S": "Not empty, and not only spaces.",
}
"""What each pattern of the API asks for."""


def tell_patterns(node: Any) -> None:  # noqa: ANN401 - any part of a JSON document
    """Add to the description of each schema with a pattern what that asks for, in place."""
    if isinstance(node, list):
        for each in node:
            tell_patterns(each)
    elif isinstance(node, dict):
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            _add(node, PATTERNS.get(pattern, ""))
        for name, each in node.items():
            if name not in {"example", "examples"}:
                tell_patterns(each)
        if "in" in node and isinstance(node.get("schema"), dict):  # the page shows a parameter's own description
            for found in _patterns(node["schema"]):
                _add(node, PATTERNS.get(found, ""))


def tell_words(operation: dict[str, Any], schemas: Mapping[str, Schema]) -> None:
    """Add to an operation's description which words each member of its body takes, in place."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    found = dict(words_of(body, schemas)) if body is not None else {}
    if found:
        # A list and no table: on a telephone a table is wider than the page.
        rows = [f"- `{member}`: {', '.join(f'`{word}`' for word in words)}" for member, words in found.items()]
        told = "\n".join(["Words that members of the body take:", "", *rows])
        operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()


def words_of(
    schema: Schema, schemas: Mapping[str, Schema], member: str = "", above: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[str]]]:
    """The members of a body that take some words only, by their path, each with these words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in above:  # a type may hold others of itself
            yield from words_of(schemas[name], schemas, member, (*above, name))
        return
    if "enum" in schema:
        yield member, [str(word) for word in schema["enum"]]
    for each in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        yield from words_of(each, schemas, member, above)
    if isinstance(schema.get("items"), dict):
        yield from words_of(schema["items"], schemas, member, above)
    for name, each in schema.get("properties", {}).items():
        yield from words_of(each, schemas, f"{member}.{name}".lstrip("."), above)


def _patterns(schema: Schema) -> Iterator[str]:
    if isinstance(schema.get("pattern"), str):
        yield schema["pattern"]
    for each in schema.get("anyOf", ()):
        yield from _patterns(each)


def _add(node: dict[str, Any], told: str) -> None:
    description = str(node.get("description", "")).strip()
    if told and told not in description:
        end = "" if not description or description.endswith((".", "!", "?")) else "."
        node["description"] = f"{description}{end} {told}".strip()
