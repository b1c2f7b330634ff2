"""Who reads a page, and what a set of Sceau's own sentences holds: one for each kind of reader."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.core.article import Element, Purpose
from app.core.page.passages import Texts


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
    title, the first lines, age, buttons. `changed`: the facts of a version whose change is told.
    """

    purpose: Mapping[Purpose, Texts]
    element: Mapping[Element, Texts]
    said: Mapping[str, Texts]
    frame: Mapping[str, Texts]
    changed: Mapping[str, Texts]

    def but(self, **others: Mapping[Any, Texts]) -> "Sentences":
        """The same sentences, but for those that are given in their place."""
        return replace(self, **{name: {**getattr(self, name), **texts} for name, texts in others.items()})
