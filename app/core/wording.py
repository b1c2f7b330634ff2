"""What a decision says to the user it concerns, in French and English: one sentence for each reason.

And the words that a register uses for purposes, elements and statuses.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.core.article import Element, Purpose
from app.core.decision import Reason
from app.core.processing import Status


def _both(fr: str, en: str) -> Mapping[str, str]:
    return MappingProxyType({"fr": fr, "en": en})


REASON_FOR_USER: Final[Mapping[Reason, Mapping[str, str]]] = MappingProxyType(
    {
        Reason.LAW_VERSION_NOT_HELD: _both(
            "La question porte sur une date antérieure au 9 octobre 2016 : le texte d’alors n’est pas connu ici.",
            "The question is about a date before 9 October 2016: the text then in force is not held here.",
        ),
        Reason.UNKNOWN_PROCESSING: _both(
            "Ce traitement n’est pas déclaré : vos messages ne sont pas analysés.",
            "This processing is not registered: your messages are not analysed.",
        ),
        Reason.PROCESSING_SUSPENDED: _both(
            "Ce traitement est suspendu ou a pris fin : vos messages ne sont pas analysés.",
            "This processing is suspended or has ended: your messages are not analysed.",
        ),
        Reason.HUMAN_ACCESS: _both(
            "Ce traitement ne permet à personne de lire vos messages, même avec votre consentement.",
            "This processing lets nobody read your messages, even with your consent.",
        ),
        Reason.NOT_GOVERNED: _both(
            "L’article L32-3 ne régit pas cette correspondance : il n’interdit pas cette analyse automatique.",
            "Article L32-3 does not govern this correspondence: it does not forbid this automated analysis.",
        ),
        Reason.NOT_APPLICABLE: _both(
            "L’article L32-3 ne régit pas cette correspondance : il n’autorise donc rien ici.",
            "Article L32-3 does not govern this correspondence, so it permits nothing here.",
        ),
        Reason.UNDECLARED_ELEMENT: _both(
            "Ce traitement n’a pas déclaré l’élément de vos messages qu’il voulait analyser.",
            "This processing did not declare the part of your messages that it wanted to analyse.",
        ),
        Reason.EXEMPT: _both(
            "Cette analyse automatique (affichage, tri, acheminement, spam, virus) ne requiert pas votre consentement.",
            "This automated analysis (display, sorting, routing, spam, malware) does not need your consent.",
        ),
        Reason.CHANNEL_NOT_COVERED: _both(
            "Nous n’appliquons pas aux SMS une règle qui ne parle que de correspondance en ligne : le contenu de ce "
            "SMS n’est pas analysé ainsi.",
            "We do not apply to text messages (SMS) a rule that speaks of online correspondence only: the content of "
            "this one is not analysed in this way.",
        ),
        Reason.PURPOSE_NOT_PERMITTED: _both(
            "Nous n’appliquons pas l’article L32-3 à d’autres buts que ceux qu’il nomme : vos messages ne sont pas "
            "analysés dans celui-ci, même avec votre consentement.",
            "We do not apply article L32-3 to purposes other than those that it names: your messages are not analysed "
            "for this one, even with your consent.",
        ),
        Reason.TRANSITION_2017: _both(
            "Traitement antérieur au 31 mars 2017 : votre premier consentement pouvait attendre fin septembre 2017.",
            "Processing older than 31 March 2017: your first consent could wait until the end of September 2017.",
        ),
        Reason.NO_CONSENT: _both(
            "Vous n’avez pas donné votre consentement à ce traitement.",
            "You have not consented to this processing.",
        ),
        Reason.CONSENT_REFUSED: _both(
            "Vous avez refusé ce traitement.",
            "You have refused this processing.",
        ),
        Reason.CONSENT_WITHDRAWN: _both(
            "Vous avez retiré votre consentement à ce traitement.",
            "You have withdrawn your consent to this processing.",
        ),
        Reason.CONSENT_INVALID: _both(
            "Votre consentement n’a pas été recueilli régulièrement, ou ce que vous aviez accepté a été invalidé : il "
            "ne compte pas.",
            "Your consent was not lawfully collected, or what you accepted has been invalidated: it does not count.",
        ),
        Reason.CONSENT_SUPERSEDED: _both(
            "Ce traitement a changé depuis votre consentement : il faut vous le redemander.",
            "This processing has changed since you consented: you must be asked again.",
        ),
        Reason.CONSENT_EXPIRED: _both(
            "Votre consentement est arrivé à son terme : il faut vous le redemander.",
            "Your consent has come to its end: you must be asked again.",
        ),
        Reason.CONSENT_SCOPE: _both(
            "Votre consentement ne couvre pas tout ce que ce traitement voulait analyser.",
            "Your consent does not cover all that this processing wanted to analyse.",
        ),
        Reason.OTHER_PARTY: _both(
            "Le consentement de toutes les personnes requises n’est pas établi pour cette correspondance.",
            "The consent of everyone required is not established for this correspondence.",
        ),
        Reason.CONSENT_IN_FORCE: _both(
            "Vous avez consenti à ce traitement. Vous pouvez retirer ce consentement à tout moment.",
            "You have consented to this processing. You can withdraw that consent at any time.",
        ),
        Reason.EVIDENCE_UNAVAILABLE: _both(
            "Votre consentement n’a pas pu être vérifié : vos messages ne sont pas analysés.",
            "Your consent could not be verified: your messages are not analysed.",
        ),
    }
)

_NOT_BEGUN: Final = _both(
    "Ce traitement n’a pas encore commencé : vos messages ne sont pas analysés.",
    "This processing has not begun yet: your messages are not analysed.",
)


def reason_for_user(reason: Reason, status: Status | None = None) -> Mapping[str, str]:
    """The sentence of a reason in each language.

    Args:
        reason: of the decision.
        status: of the processing at the instant judged, if it is known: a proposal is neither suspended nor over.

    """
    if reason is Reason.PROCESSING_SUSPENDED and status is Status.PROPOSED:
        return _NOT_BEGUN
    return REASON_FOR_USER[reason]


PURPOSE_WORDS: Final[Mapping[Purpose, Mapping[str, str]]] = MappingProxyType(
    {
        Purpose.DISPLAY: _both("affichage", "display"),
        Purpose.SORTING: _both("tri", "sorting"),
        Purpose.ROUTING: _both("acheminement", "routing"),
        Purpose.UNSOLICITED_CONTENT_DETECTION: _both(
            "détection de contenus non sollicités", "unsolicited content detection"
        ),
        Purpose.MALWARE_DETECTION: _both("détection de programmes malveillants", "malware detection"),
        Purpose.ADVERTISING: _both("publicité", "advertising"),
        Purpose.STATISTICS: _both("statistiques", "statistics"),
        Purpose.SERVICE_IMPROVEMENT: _both("amélioration du service", "service improvement"),
        Purpose.OTHER: _both("autre", "other"),
    }
)

ELEMENT_WORDS: Final[Mapping[Element, Mapping[str, str]]] = MappingProxyType(
    {
        Element.CONTENT: _both("contenu des messages", "content of messages"),
        Element.CORRESPONDENT_IDENTITY: _both("identité des correspondants", "identity of correspondents"),
        Element.SUBJECT_LINE: _both("objet des messages", "subject line of messages"),
        Element.ATTACHMENTS: _both("pièces jointes", "attachments"),
    }
)

STATUS_WORDS: Final[Mapping[Status, Mapping[str, str]]] = MappingProxyType(
    {
        Status.PROPOSED: _both("à approuver", "to be approved"),
        Status.ACTIVE: _both("actif", "active"),
        Status.SUSPENDED: _both("suspendu", "suspended"),
        Status.RETIRED: _both("retiré", "retired"),
    }
)
