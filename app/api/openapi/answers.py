"""Real answers as examples: each was given by the application itself, and is kept in `answers.json`.

`tests/docs_page/test_answers.py` plays every operation, and holds the file to what is answered then. Keys, secrets and
links in it are no real ones any more.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

ANSWERS: Final = Path(__file__).with_name("answers.json")
PROBLEMS: Final = "problems"
"""What stands in the place of an operation's id above problems, of which one of each status is enough."""


@lru_cache(maxsize=1)
def kept_answers() -> dict[str, dict[str, dict[str, Any]]]:
    """By operation id, status and media type."""
    answers: dict[str, dict[str, dict[str, Any]]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return answers


def show_answers(operation: dict[str, Any]) -> None:
    """Put the real answers of an operation beside their types, and a real problem beside each status, in place."""
    own, problems = (kept_answers().get(name, {}) for name in (operation["operationId"], PROBLEMS))
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            answer = {**problems.get(status, {}), **own.get(status, {})}.get(media_type)
            if answer is not None:
                content["example"] = answer
