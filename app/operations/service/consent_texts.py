"""The text that asks for consent to a version, as the consent page shows it."""

from collections.abc import Mapping, Sequence

from app.core.article import Purpose
from app.core.page.text import LANGUAGES, Asked, ConsentText, consent_text, listed
from app.core.period import PeriodPolicy
from app.register.records import VersionRecord


def consent_texts(
    purpose: Purpose, controllers: Sequence[str], version: VersionRecord, policy: PeriodPolicy
) -> Mapping[str, ConsentText]:
    """The text of a version in each language; `controllers` are legal names in their order, at least one."""
    facts = version.facts
    asked = {
        language: Asked(
            controller=listed(controllers, language),
            contact=version.contact,
            purpose=purpose,
            elements=facts.elements,
            automated=facts.automated,
            recipients=facts.data_recipients,
            validity=policy.shorter(facts.consent_validity),
            retention=facts.retention,
            name=version.name,
            notice=version.notice,
            joint=len(controllers) > 1,
        )
        for language in LANGUAGES
    }
    return {language: consent_text(each, language) for language, each in asked.items()}
