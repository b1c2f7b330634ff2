"""Lists in Markdown, as the reference pages have them."""

from collections.abc import Iterable
from typing import Final

WRITTEN: Final = "<!-- Written by `./dev docs` from the code. Change it there. -->"
"""Stands at the end of each page that is written from the code: its first line is its title."""


def listing(rows: Iterable[tuple[str, str, str]]) -> str:
    """A list of words of the code: each with what stands in brackets behind it, if anything, and what it is."""
    return "\n".join(f"- {code(word)}{f' ({aside})' if aside else ''}: {text}" for word, aside, text in rows) + "\n"


def code(text: str) -> str:
    """A word of the code; nothing where there is none."""
    return f"`{text}`" if text else ""


def page(title: str, *parts: str) -> str:
    """A whole page: its title, its parts, and who wrote it."""
    return "\n\n".join((f"# {title}", *(part.strip() for part in parts), WRITTEN)) + "\n"
