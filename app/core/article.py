"""The words of article L32-3: purposes, elements, channels, territories, paragraphs and dated law versions.

Source: CPCE art. L32-3, as rewritten by loi n° 2016-1321 (in force 9 October 2016), décret n° 2017-428 of
28 March 2017 (in force 31 March 2017) and the text in force since 2 July 2025. Dates are civil dates in Paris.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

PARIS: Final = ZoneInfo("Europe/Paris")


class Purpose(StrEnum):
    """What a processing analyses correspondence for (L32-3 III and IV; `other` is in neither list)."""

    DISPLAY = "display"
    SORTING = "sorting"
    ROUTING = "routing"
    UNSOLICITED_CONTENT_DETECTION = "unsolicited_content_detection"
    MALWARE_DETECTION = "malware_detection"
    ADVERTISING = "advertising"
    STATISTICS = "statistics"
    SERVICE_IMPROVEMENT = "service_improvement"
    OTHER = "other"


EXEMPT_PURPOSES: Final = frozenset(
    {
        Purpose.DISPLAY,
        Purpose.SORTING,
        Purpose.ROUTING,
        Purpose.UNSOLICITED_CONTENT_DETECTION,
        Purpose.MALWARE_DETECTION,
    }
)
"""The five purposes of III: permitted without consent, when automated."""

SCREENING_PURPOSES: Final = EXEMPT_PURPOSES - {Purpose.DISPLAY, Purpose.ROUTING}
"""The purposes of III that look into a message to act on it. Showing and delivering a text was never forbidden."""

CONSENT_PURPOSES: Final = frozenset({Purpose.ADVERTISING, Purpose.STATISTICS, Purpose.SERVICE_IMPROVEMENT})
"""The three purposes of IV: forbidden without the user's express consent."""


class Element(StrEnum):
    """One of the four things that the secrecy covers (L32-3 I and II)."""

    CONTENT = "content"
    CORRESPONDENT_IDENTITY = "correspondent_identity"
    SUBJECT_LINE = "subject_line"
    ATTACHMENTS = "attachments"


class Channel(StrEnum):
    """How the correspondence travels: online, or as a text message (SMS, in III since 2 July 2025)."""

    ONLINE = "online"
    TEXT_MESSAGE = "text_message"


class ProviderKind(StrEnum):
    """Who runs the processing: an operator (L32-3 I) or an online service with messaging (L32-3 II)."""

    OPERATOR = "operator"
    ONLINE_SERVICE = "online_service"


class Article(StrEnum):
    """The paragraph that a decision cites."""

    I = "L32-3 I"  # noqa: E741 - the paragraph's own number
    II = "L32-3 II"
    I_OR_II = "L32-3 I-II"
    III = "L32-3 III"
    IV = "L32-3 IV"
    NOTA = "L32-3 NOTA"


SECRECY: Final = {ProviderKind.OPERATOR: Article.I, ProviderKind.ONLINE_SERVICE: Article.II}
"""The paragraph that binds each kind of provider to secrecy."""

FRANCE: Final = "FR"
WALLIS_AND_FUTUNA: Final = "WF"

TIME_ZONES: Final = {
    FRANCE: PARIS,
    "GP": ZoneInfo("America/Guadeloupe"),
    "MQ": ZoneInfo("America/Martinique"),
    "GF": ZoneInfo("America/Cayenne"),
    "RE": ZoneInfo("Indian/Reunion"),
    "YT": ZoneInfo("Indian/Mayotte"),
    "BL": ZoneInfo("America/St_Barthelemy"),
    "MF": ZoneInfo("America/Marigot"),
    "PM": ZoneInfo("America/Miquelon"),
    WALLIS_AND_FUTUNA: ZoneInfo("Pacific/Wallis"),
}
"""The time zone of each territory where L32-3 applies (VI for Wallis and Futuna), by its ISO 3166-1 code."""

TERRITORIES: Final = frozenset(TIME_ZONES)
"""ISO 3166-1 codes of the territories where L32-3 applies."""


def paris_midnight(day: date) -> datetime:
    """Return the instant (UTC) at which a civil date begins in Paris."""
    return datetime.combine(day, time.min, PARIS).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class LawVersion:
    """One dated text of the article. `name` is the civil date (Paris) of its entry into force."""

    name: str
    in_force_from: datetime


REWRITTEN_ARTICLE: Final = LawVersion("2016-10-09", paris_midnight(date(2016, 10, 9)))
DECREE: Final = LawVersion("2017-03-31", paris_midnight(date(2017, 3, 31)))
TEXT_MESSAGES: Final = LawVersion("2025-07-02", paris_midnight(date(2025, 7, 2)))

LAW_VERSIONS: Final = (REWRITTEN_ARTICLE, DECREE, TEXT_MESSAGES)

TRANSITION_END: Final = paris_midnight(date(2017, 10, 1))
"""First instant after the six months of décret 2017-428 art. 2 (31 March to 30 September 2017, inclusive)."""

DECREE_DATE: Final = date(2017, 3, 31)


def law_version_at(at: datetime) -> LawVersion | None:
    """Return the law version in force at an instant, or None before the earliest text that Sceau holds."""
    for version in reversed(LAW_VERSIONS):
        if at >= version.in_force_from:
            return version
    return None
