"""Who reads a page, and what a set of Sceau's own sentences holds: one for each kind of reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from app.words import Catalogue


class Audience(StrEnum):
    """Who reads the page.

    `alone`: an adult, or somebody whose age nobody stated; `teen`: somebody of 15 to 17, who decides alone too;
    `child` and `parent`: the two who decide together under fifteen.
    """

    ALONE = "alone"
    TEEN = "teen"
    CHILD = "child"
    PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences by their names, each in every language; `{…}` is filled from the register.

    `said`: questions by their topic, and the sentences that answer them. `frame`: what stands around those answers:
    title, the first lines, age, buttons. `changed`: the facts of a version whose change is told. `purpose` and
    `element`: by the register's words.
    """

    purpose: Catalogue
    element: Catalogue
    said: Catalogue
    frame: Catalogue
    changed: Catalogue

    @classmethod
    def of(cls, *readers: str) -> Self:
        """The sentences of parts such as `asking`; a later one says what it has in the place of an earlier one."""

        def words(name: str) -> Catalogue:
            first, *others = (f"{reader}.{name}" for reader in readers)
            return Catalogue(first, *others)

        return cls(*map(words, ("purpose", "element", "said", "frame", "changed")))


SENTENCES: Final[Mapping[Audience, Sentences]] = {
    Audience.ALONE: Sentences.of("asking"),
    Audience.TEEN: Sentences.of("asking", "asking_teen"),
    Audience.CHILD: Sentences.of("asking", "asking_teen", "asking_child"),
    Audience.PARENT: Sentences.of("asking", "asking_parent"),
}
"""What a reader has no sentence of their own for, adults' words say."""
