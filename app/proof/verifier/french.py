"""Translates the verifier's sentences into French, and with them such sentences as are filled into another one."""

from functools import cache

from app.proof.verifier import french_sentences

_DEEPEST = 3
_LONGEST_SAID = 4_000


@cache
def _longest_first() -> list[tuple[str, str]]:
    """The English and French sentences, those with most fixed text first: of two that fit, the first is meant."""
    return sorted(french_sentences().items(), key=lambda pair: len(pair[0].replace("{}", "")), reverse=True)


def in_french(sentence: str, within: int = 0) -> str:
    """Translate a sentence. Text that is not the verifier's, or that a forger made too long or deep, stays as it is."""
    if within > _DEEPEST or len(sentence) > _LONGEST_SAID:
        return sentence
    for english, said_in_french in _longest_first():
        if (filled := _filled(english.split("{}"), sentence)) is not None:
            return said_in_french.format(*(in_french(each, within + 1) for each in filled))
    return sentence


def _filled(parts: list[str], sentence: str) -> list[str] | None:
    """The texts between the parts of a sentence; None if it is another sentence. Each part is searched for once."""
    if len(parts) == 1:
        return [] if sentence == parts[0] else None
    if not sentence.startswith(parts[0]):
        return None
    texts, at = [], len(parts[0])
    for part in parts[1:-1]:
        if (end := sentence.find(part, at + 1)) < 0:
            return None
        texts.append(sentence[at:end])
        at = end + len(part)
    end = len(sentence) - len(parts[-1])
    if end <= at or not sentence.endswith(parts[-1]):
        return None
    return [*texts, sentence[at:end]]
