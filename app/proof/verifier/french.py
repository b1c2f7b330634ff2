"""Translates the verifier's sentences into French, and with them such sentences as are filled into another one."""

from functools import cache

from app.proof.verifier import french_sentences

_DEEPEST = 3
_LONGEST_SAID = 4_000


@cache
def _longest_first() -> list[tuple[str, str]]:
    """The English and French sentences, those with most fixed text first: of two that fit, the first is meant."""
    return sorted(french_sentences().items(), key=lambda pair: len(pair[0].replace("{}", "")), reverse=True)


def in_french(said: str, within: int = 0) -> str:
    """Translate a sentence. Text that is not the verifier's, or that a forger made too long or deep, stays as it is."""
    if within > _DEEPEST or len(said) > _LONGEST_SAID:
        return said
    for english, said_in_french in _longest_first():
        if (filled := _filled(english.split("{}"), said)) is not None:
            return said_in_french.format(*(in_french(each, within + 1) for each in filled))
    return said


def _filled(parts: list[str], said: str) -> list[str] | None:
    """The texts between the parts of a sentence; None if it is another sentence. Each part is searched for once."""
    if len(parts) == 1:
        return [] if said == parts[0] else None
    if not said.startswith(parts[0]):
        return None
    found, at = [], len(parts[0])
    for part in parts[1:-1]:
        if (end := said.find(part, at + 1)) < 0:
            return None
        found.append(said[at:end])
        at = end + len(part)
    end = len(said) - len(parts[-1])
    if end <= at or not said.endswith(parts[-1]):
        return None
    return [*found, said[at:end]]
