"""Whether the evidence of a grant holds together: what it leaves out proves nothing, and is never filled in.

Grants only: a refusal or a withdrawal narrows, so it is recorded whatever is said around it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.core.article import PARIS
from app.core.consent import PositiveAct
from app.core.errors import CollectionTimeError, InvalidEvidenceError
from app.register.records import VersionRecord

_IN_WRITING: Final = frozenset({"web_form", "in_app", "api"})
METHODS_OF: Final[Mapping[PositiveAct, frozenset[str]]] = {
    PositiveAct.BUTTON_CLICKED: _IN_WRITING,
    PositiveAct.BOX_TICKED: _IN_WRITING | {"paper"},
    PositiveAct.SIGNED: _IN_WRITING | {"paper"},
    PositiveAct.SPOKEN: frozenset({"phone"}),
    PositiveAct.NONE: _IN_WRITING | {"paper", "phone"},
}
"""By which methods each act can be done: nobody clicks a button by phone."""


_WHOLE: Final = frozenset(
    {
        "method",
        "positive_act",
        "default_state",
        "separate_from_terms",
        "conditional",
        "language",
        "notice_version",
        "presented_text_sha256",
        "authentication",
    }
)
_ZEROS: Final = "0" * 64
_NAMED_BY_DOCUMENT: Final = frozenset({"phone"})
"""Methods whose recording, or script, a grant names by its hash."""


def proves(said: Mapping[str, Any], version: VersionRecord, at: datetime) -> bool:
    """Whether the evidence of an imported grant is complete, and its text was registered or is shown by a signed form.

    What is complete may still contradict itself: `check_evidence` refuses that.
    """
    whole = _WHOLE | ({"document_sha256"} if said.get("method") in _NAMED_BY_DOCUMENT else set())
    return said.keys() >= whole and (at >= version.recorded_at or _is_signed_form(said))


def _is_signed_form(said: Mapping[str, Any]) -> bool:
    signed = said["method"] == "paper" and said["positive_act"] == PositiveAct.SIGNED.value
    return signed and said.get("document_sha256") is not None


def check_evidence(said: Mapping[str, Any], version: VersionRecord) -> None:
    """Refuse the evidence of a grant that contradicts itself or the version granted.

    Args:
        said: the evidence in the API's words, with `presented_text_sha256`.
        version: the version granted.

    Raises:
        InvalidEvidenceError: the hash of the text, or how the person was identified, is missing; the act cannot be done
            by the method; a call names no recording or script; a document's hash is of nothing; the notice is of
            another version; or the language is not that of the text, or none of the version's.

    """
    if said.get("authentication") is None:
        raise InvalidEvidenceError("A grant says how the person was identified.", field="evidence.authentication")
    if said.get("presented_text_sha256") is None:
        raise InvalidEvidenceError(
            "A grant says which text was shown, by its SHA-256.", field="evidence.presented_text_sha256"
        )
    if said["method"] not in METHODS_OF[PositiveAct(said["positive_act"])]:
        raise InvalidEvidenceError("This act cannot be done by this method.", field="evidence.positive_act")
    document = said.get("document_sha256")
    if document is None and said["method"] in _NAMED_BY_DOCUMENT:
        message = "A grant by phone names its recording, or the script that was read, by its SHA-256."
        raise InvalidEvidenceError(message, field="evidence.document_sha256")
    if document == _ZEROS:
        raise InvalidEvidenceError("This is no document's hash.", field="evidence.document_sha256")
    if said["notice_version"] != version.facts.number:
        raise InvalidEvidenceError(
            "A grant names the notice by the number of the version granted.", field="evidence.notice_version"
        )
    _check_language(said, version)


def _check_language(said: Mapping[str, Any], version: VersionRecord) -> None:
    if version.notice_hash(said["language"]) is None:
        raise InvalidEvidenceError("The version has no text in this language.", field="evidence.language")
    shown = said["presented_text_sha256"]
    if version.holds_text(shown) and version.notice_hash(said["language"]) != shown.lower():
        raise InvalidEvidenceError("The text of this hash is in another language.", field="evidence.language")


def check_started(version: VersionRecord, at: datetime) -> None:
    """Refuse a grant collected before the processing was put in place, by the calendar in Paris.

    Raises:
        CollectionTimeError: it was.

    """
    if at.astimezone(PARIS).date() < version.facts.started_on:
        message = "The processing was put in place after that day (`started_on`)."
        raise CollectionTimeError(message, field="collected_at")


def check_text_existed(said: Mapping[str, Any], version: VersionRecord, at: datetime) -> None:
    """Refuse a grant collected before the register held the version: only a signed form shows that its text existed.

    Raises:
        CollectionTimeError: it was collected earlier, and no signed form is named by its `document_sha256`.

    """
    if at < version.recorded_at and not _is_signed_form(said):
        raise CollectionTimeError(
            "The text did not exist: the version was registered after that time. Only a form signed on paper, named by "
            "document_sha256, may be older.",
            field="collected_at",
        )
