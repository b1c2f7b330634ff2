"""Every sentence that Sceau says to people, in every language, read once from the gettext catalogues beside this file.

`sceau.pot` holds French, the source; each other language is a file such as `en.po`, with all of its messages. A
message's context names the part that it belongs to and its name there: `consent:holds`.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Final


class Language(StrEnum):
    """A language that Sceau speaks to people (BCP 47)."""

    FR = "fr"
    EN = "en"

    @property
    def other(self) -> "Language":
        """The language to switch to."""
        return Language.EN if self is Language.FR else Language.FR


SOURCE: Final = Language.FR.value
LANGUAGES: Final = tuple(each.value for each in Language)

Texts = Mapping[str, str]
"""One text in each of `LANGUAGES`."""

_HERE: Final = Path(__file__).parent


@cache
def _parts() -> Mapping[str, Mapping[str, Texts]]:
    """The texts of the catalogues, by part and name, in the order of the files."""
    from babel.messages.pofile import read_po  # noqa: PLC0415 - a start that says nothing to people need not wait for it

    texts: dict[str, dict[str, dict[str, str]]] = {}
    for language in LANGUAGES:
        with (_HERE / ("sceau.pot" if language == SOURCE else f"{language}.po")).open("rb") as opened:
            for message in read_po(opened, abort_invalid=True):
                if message.id:
                    part, _, name = (message.context or "").partition(":")
                    text = message.id if language == SOURCE else message.string
                    texts.setdefault(part, {}).setdefault(name, {})[language] = str(text)
    return texts


class Catalogue(Mapping[str, Texts]):
    """The texts of one part by their names.

    It may combine several parts: a text of a later part replaces the text of the same name of an earlier part.
    """

    def __init__(self, part: str, *instead: str) -> None:
        """Name the parts; nothing is read before the first text is looked up."""
        self._names = (part, *instead)

    @cached_property
    def _texts(self) -> dict[str, Texts]:
        return {name: texts for part in self._names for name, texts in _parts().get(part, {}).items()}

    def __getitem__(self, name: str) -> Texts:
        """A text in each language."""
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the catalogue."""
        return iter(self._texts)

    def __len__(self) -> int:
        """How many texts there are."""
        return len(self._texts)

    @cached_property
    def _by_language(self) -> Mapping[str, Mapping[str, str]]:
        return {each: {name: texts[each] for name, texts in self._texts.items()} for each in LANGUAGES}

    def in_language(self, language: str) -> Mapping[str, str]:
        """Every text in one language, by its name."""
        return self._by_language[language]


_LISTED: Final = Catalogue("list")


def listed(parts: Sequence[str], language: str) -> str:
    """Join names into one text: `A, B et C`, `A, B and C`; an empty text if there are no names."""
    return _LISTED["last"][language].join([*([", ".join(parts[:-1])] if parts[1:] else []), *parts[-1:]])
