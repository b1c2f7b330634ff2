"""The forms of the consent page: hidden fields that show that this service made them, and buttons."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from app.operations.consents.answer_consent_form import ConsentForm, Press
from app.operations.consents.open_consent_link import OpenedLink
from app.operations.consents.shown_processing import ShownProcessing, shown_digest
from app.operations.service.deployment import Deployment
from app.pages.languages import Language


@dataclass(frozen=True, slots=True)
class SealedForm:
    """The hidden fields of a form, and its buttons as (value, label) in the order of reading."""

    form: str
    seal: str
    processing: str
    shown: str
    buttons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Seals:
    """Makes the forms of one page. `blank`: without what ties them to a person, for the page that is kept."""

    deployment: Deployment
    opened: OpenedLink
    language: Language
    words: dict[str, str]
    blank: bool = False

    def form(self, items: Sequence[ShownProcessing], processing: str, presses: Sequence[Press]) -> SealedForm:
        """A form about these processings; `processing` is "" for one about all of them."""
        labels = {**self.words, **(items[0].text(self.language.value).labels if processing else {})}
        buttons = tuple((press.value, labels[press.value]) for press in presses)
        if self.blank:
            return SealedForm("", "", processing, "", buttons)
        form = ConsentForm(
            token_sha256=self.opened.link.token_sha256,
            nonce=secrets.token_bytes(16),
            processing=processing,
            language=self.language.value,
            shown=shown_digest(items, self.language.value),
        )
        return SealedForm(form.nonce.hex(), form.seal(self.deployment), processing, form.shown, buttons)
