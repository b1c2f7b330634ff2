"""Real answers as examples: each was given by the application itself, and is kept in `answers.json`.

`tests/docs_page/test_answers.py` plays every operation, and holds the file to what is answered then. Keys, secrets and
links in it are no real ones any more.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

ANSWERS: Final = Path(__file__).with_name("answers.json")


@lru_cache(maxsize=1)
def kept_answers() -> dict[str, dict[str, dict[str, Any]]]:
    """By operation id, status and media type."""
    answers: dict[str, dict[str, dict[str, Any]]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return answers


def show_answers(operation: dict[str, Any]) -> None:
    """Put the real answers of an operation beside their types, in place."""
    for status, by_type in kept_answers().get(operation["operationId"], {}).items():
        for media_type, answer in by_type.items():
            content = operation["responses"].get(status, {}).get("content", {})
            if media_type in content:
                content[media_type]["example"] = answer
