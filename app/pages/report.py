"""The report of a period as a document that stands alone, in French or English."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from app.core.article import CONSENT_PURPOSES, EXEMPT_PURPOSES, Purpose
from app.core.errors import NotFoundError
from app.core.period import PeriodPolicy
from app.core.staff import NoticeStanding
from app.core.wording import PURPOSE_WORDS, STATUS_WORDS
from app.db.session import ReadSession
from app.operations.consents.projections import count_lapsing
from app.operations.register.report import SOON, PeriodReport, ReportedProcessing, as_csv, month_of, report_period
from app.operations.staff import read_staff_coverage
from app.pages import dates
from app.pages.rendering import document
from app.pages.words import REASONS
from app.words import Catalogue, Language

REPORT: Final = Catalogue("report")

ACTS: Final = Catalogue("report_acts")


_EVENTS: Final = ("granted", "refused", "withdrawn", "renewal_declined", "closed")
_FLAGS: Final = ("due", "expired", "superseded", "invalidated", "closed")
Table = dict[str, Any]
"""A table: its `heads`, its `rows` of texts, and how many of the first columns are no numbers (`texts`)."""


async def read_report(
    session: ReadSession, policy: PeriodPolicy, month: date
) -> tuple[PeriodReport, Mapping[NoticeStanding, int] | None]:
    """The report of a month in Paris, and how many of the staff know the notice of today; None if there is none."""
    since, until = month_of(month)
    lapsing = await count_lapsing(session, policy, (until, until + SOON))
    report = await report_period(session, since, until, lapsing)
    try:
        return report, (await read_staff_coverage(session)).counts
    except NotFoundError:  # no notice was published
        return report, None


def report_document(report: PeriodReport, staff: Mapping[NoticeStanding, int] | None, language: Language) -> str:
    """The report as HTML.

    Args:
        report: what was counted.
        staff: how many of the staff know the notice of today; None if there is no notice.
        language: the language of the document.

    """
    say = _Tables(report, language)
    t = say.t
    context = {
        "title": t["title"],
        "period": t["period"].format(
            since=dates.day(report.since, language), until=dates.day(report.until - timedelta(seconds=1), language)
        ),
        "made": dates.moment(report.made_at, language),
        "sections": [
            (t["register"], say.register(), ""),
            (t["acts"], say.acts(), ""),
            (t["events"], say.events(), ""),
            (t["lapse"], say.lapse(), t["lists"]),
            (t["decisions"], say.decisions(), f"{t['dropped']} {dates.integer(report.dropped, language)}."),
            (t["imports"], say.imports(), ""),
        ],
        "people": [
            f"{t['erasures']} {dates.integer(report.erasures, language)}.",
            f"{t['exports']} {dates.integer(report.exports, language)}.",
        ],
        "staff": t["staff_none"]
        if staff is None
        else t["staff_line"].format(**{key.value: n for key, n in staff.items()}),
        "log": say.log(),
    }
    return document("report.html", language, REPORT, context)


def report_csv(report: PeriodReport, language: Language) -> str:
    """The tables of the report one below the other, each with its heading."""
    say = _Tables(report, language)
    rows: list[list[str]] = []
    for name in ("register", "acts", "events", "lapse", "decisions", "imports"):
        table: Table = getattr(say, name)()
        rows += [[say.t[name]], table["heads"], *table["rows"], []]
    return as_csv(rows)


class _Tables:
    """Puts a report into tables of words and numbers."""

    def __init__(self, report: PeriodReport, language: Language) -> None:
        self.t = REPORT.in_language(language)
        self._report = report
        self._language = language
        self._names = {each.id: self._named(each) for each in report.processings}

    def register(self) -> Table:
        """The table of processings."""
        heads = ("processing", "purpose", "status", "version", "remark")
        rows = [
            [
                self._names[processing.id],
                PURPOSE_WORDS[Purpose(processing.purpose)][self._language],
                STATUS_WORDS[processing.status][self._language],
                str(processing.version),
                "; ".join(self._remarks(processing)),
            ]
            for processing in self._report.processings
        ]
        return self._table(heads, rows, texts=5)

    def acts(self) -> Table:
        """The table of acts on the register and the like."""
        rows = [
            [
                dates.moment(act.at, self._language),
                act.by,
                f"{ACTS[act.act][self._language]} {act.thing}" if act.act in ACTS else f"{act.act} {act.thing}",
            ]
            for act in self._report.acts
        ]
        return self._table(("when", "who", "what"), rows, texts=3)

    def events(self) -> Table:
        """The table of people's answers, by processing."""
        counted = {(each.processing, each.kind): each.number for each in self._report.events}
        return self._by_processing(_EVENTS, counted)

    def lapse(self) -> Table:
        """The table of consents that lapsed or will lapse, by processing."""
        counted = {(each.processing, each.kind): each.number for each in self._report.flags}
        counted |= {(processing, "lapsing"): number for processing, number in self._report.lapsing.items()}
        return self._by_processing((*_FLAGS, "lapsing"), counted)

    def decisions(self) -> Table:
        """The table of decisions that were answered, by processing and reason."""
        rows = [
            [
                self._name(answer.processing) if answer.processing else self.t["unknown"],
                self.t["permitted" if answer.permitted else "denied"],
                REASONS[answer.reason][self._language] if answer.reason in REASONS else answer.reason,
                dates.integer(answer.number, self._language),
            ]
            for answer in self._report.answers
        ]
        return self._table(("processing", "answer", "reason", "number"), rows, texts=3)

    def imports(self) -> Table:
        """The table of imports from other systems."""
        rows = [
            [
                import_.name,
                dates.moment(import_.begun_at, self._language),
                dates.integer(import_.rows, self._language),
                dates.integer(import_.grants, self._language),
            ]
            for import_ in self._report.imports
        ]
        return self._table(("import_name", "when", "rows", "grants"), rows, texts=2)

    def log(self) -> str:
        """A sentence on the log of proofs: its size, when its head was signed, and what waits for entry."""
        report = self._report
        if report.log_size is None or report.log_signed_at is None:
            return self.t["log_none"]
        return self.t["log_line"].format(
            size=dates.integer(report.log_size, self._language),
            signed=dates.moment(report.log_signed_at, self._language),
            waiting=dates.integer(report.waiting, self._language),
        )

    def _by_processing(self, columns: Sequence[str], counted: Mapping[tuple[str, str], int]) -> Table:
        processings = sorted({processing for processing, column in counted if column in columns})
        rows = [
            [self._name(each), *(dates.integer(counted.get((each, column), 0), self._language) for column in columns)]
            for each in processings
        ]
        return self._table(("processing", *columns), rows, texts=1)

    def _table(self, heads: Iterable[str], rows: list[list[str]], *, texts: int) -> Table:
        return {"heads": [self.t[each] for each in heads], "rows": rows, "texts": texts}

    def _remarks(self, processing: ReportedProcessing) -> Iterable[str]:
        if Purpose(processing.purpose) not in CONSENT_PURPOSES | EXEMPT_PURPOSES:
            yield self.t["never"]
        if processing.waits:
            yield self.t["waits"]
        yield from (self.t[f"warning_{each.value}"] for each in processing.warnings)

    def _name(self, processing: str) -> str:
        return self._names.get(processing, processing) if processing else self.t["all"]

    def _named(self, processing: ReportedProcessing) -> str:
        name = processing.name.get(self._language.value) or next(iter(processing.name.values()), "")
        return f"{name} ({processing.id})" if name else processing.id
