"""The configuration files that a client's README shows, so that a test runs what people are told to write."""

import re
from collections.abc import Mapping
from pathlib import Path

_BLOCK = re.compile(r"^```\w*\n(?:#|--|//) (/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(readme: Path) -> dict[str, str]:
    """What each fenced block holds whose first line is a comment with an absolute path, by that path."""
    return dict(_BLOCK.findall(readme.read_text()))


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """A file with the README's examples replaced by what holds here. Fails when one of them does not occur."""
    missing = [example for example in values if example not in text]
    assert not missing, f"the README does not say {missing}"
    for example, value in values.items():
        text = text.replace(example, value)
    return text
