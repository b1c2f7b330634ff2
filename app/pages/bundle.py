"""The pages of a bundle, in French and English: an auditor reads them, but they prove nothing.

Each is written into the bundle piece by piece. Histories come last; they are kept packed on disk until everything above
them is known, so that no number of consents needs more memory.
"""

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from tempfile import TemporaryFile
from typing import IO, Any, Final

from markupsafe import Markup, escape

from app.core.errors import InvalidPeriodError
from app.core.period import Retention
from app.core.wording import ELEMENT_WORDS, PURPOSE_WORDS, STATUS_WORDS, retention_in_words, typeset
from app.db.session import ReadSession
from app.operations.proof.bundle import Bundle, BundleReading, OpenedEntry
from app.pages import dates
from app.pages.rendering import document, piece
from app.proof.entries import Bag, Sink, read_me
from app.words import Catalogue, Language, listed

BUNDLE: Final = Catalogue("page", "bundle")
_ACTS: Final = Catalogue("bundle_act")
_WAYS: Final = Catalogue("bundle_way")
_COUNTS: Final = Catalogue("bundle_count")
"""Words for what is counted for each processing, in the order of the columns."""
_FILES: Final = {Language.FR: "index.html", Language.EN: "index.en.html"}
_ENDS_A_CONSENT: Final = frozenset({"superseded", "closed", "erased"})
_STAND: Final = frozenset({"renewal_declined", "age_stated"})
"""Acts that end nothing."""
_A_PAGE: Final = re.compile(r'<!doctype html>\s*<html lang="([a-z-]+)"', re.IGNORECASE)
_UNTURNED: Final = dict.fromkeys(map(ord, "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
"""Signs that turn the direction of writing: a name that has them would turn the words around it."""
_CHUNK: Final = 1 << 20
_LINE: Final = 70
"""How many characters of a shown page take a line at least: a frame without a script cannot measure its contents."""


async def write_pages(session: ReadSession, bundle: Bundle, bag: Bag) -> None:
    """Write `index.html` and `index.en.html` of a bundle that is being written.

    Args:
        session: sees the database as it was when the bundle's entries were read.
        bundle: the bundle.
        bag: the bag to which the bundle is written.

    """
    reading = BundleReading(session, bundle)
    gathered = _Gathered(await session.now(), missing=await reading.missing())
    async for entry in reading.of_kinds("controller_version", "register_version"):
        gathered.note_name(entry.position, entry.facts)
    async for entry in reading.of_kinds("presented_text"):
        gathered.texts[_hex(entry.facts["sha256"])] = len(gathered.texts) + 1
    with ExitStack() as files:
        writers = [
            _Writer(language, gathered, reading, _Kept(files.enter_context(TemporaryFile()))) for language in Language
        ]
        async for person in reading.histories():
            acts = list(_acts(person))
            gathered.note(acts)
            for act in acts:
                if (by := act.entry.facts["recorded_by"]) not in gathered.callers:
                    gathered.callers[by] = await reading.name_of_caller(by)
            for writer in writers:
                writer.keep_history(person[0].person, acts)
        for writer in writers:
            with bag.open(f"data/{_FILES[writer.language]}") as file:
                await writer.write_to(file)


class _Kept:
    """Text that is written to the page later; it is kept compressed in an unnamed temporary file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._packed = file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1)

    def write(self, text: str) -> None:
        self._packed.write(text.encode())

    def copy_to(self, sink: Sink) -> None:
        self._packed.close()
        self._file.seek(0)
        with gzip.GzipFile(fileobj=self._file) as unpacked:
            while part := unpacked.read(_CHUNK):
                sink.write(part)


@dataclass(frozen=True, slots=True)
class _Act:
    """One event of a person: `kind` is the ledger's, but for grants, which are `given`, `renewed` or `joined`."""

    kind: str
    entry: OpenedEntry


def _acts(person: Iterable[OpenedEntry]) -> Iterator[_Act]:
    """The events of one person; a grant that follows a standing one is called a renewal, or the second half of it."""
    standing: dict[str, Mapping[str, Any]] = {}
    for entry in person:
        kind, processing = entry.facts["kind"], entry.facts["processing"]
        if kind == "granted":
            kind = _grant(standing.get(processing), entry.facts)
            standing[processing] = entry.facts
        elif processing is None and kind not in _STAND:
            standing.clear()
        elif kind not in _STAND:
            standing.pop(processing, None)
        yield _Act(kind, entry)


def _grant(before: Mapping[str, Any] | None, grant: Mapping[str, Any]) -> str:
    at = _at(grant["collected_at"])
    if before is None or not _at(before["collected_at"]) <= at < _at(before["expires_at"]):
        return "given"
    givers = {_giver(before), _giver(grant)}
    return "joined" if givers == {"self", "holder_of_parental_responsibility"} else "renewed"


def _giver(body: Mapping[str, Any]) -> str:
    return str((body["capacity"] or {}).get("given_by") or "self")


@dataclass(slots=True)
class _Gathered:
    """What is gathered while the bundle is read; its memory grows with the register and the number of texts.

    `missing`: how many bodies are gone that no destruction stated in the log explains. `texts`: the numbers of texts by
    SHA-256; `notices`: the entries of the register that hold notices, by SHA-256. `counts`: events by processing (""
    for all at once) and column.
    """

    now: datetime
    missing: int = 0
    names: dict[str, Mapping[str, str]] = field(default_factory=dict)
    controllers: dict[str, str] = field(default_factory=dict)
    callers: dict[str, str] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    languages: dict[str, set[str]] = field(default_factory=dict)
    shown: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    people: int = 0

    def note_name(self, position: int, body: Mapping[str, Any]) -> None:
        """Note the present name of a processing or controller, and which entry of the register holds which notice."""
        if "legal_name" in body:
            self.controllers[body["controller"]] = body["legal_name"]
        else:
            self.names[body["processing"]] = body["name"]
            for text in body["notice"].values():
                self.notices.setdefault(sha256(text.encode()).hexdigest(), position)

    def note(self, acts: Iterable[_Act]) -> None:
        """Count what one person said, and note which texts it says that they were shown."""
        self.people += 1
        for act in acts:
            body = act.entry.facts
            column = "ended" if act.kind in _ENDS_A_CONSENT else "given" if act.kind == "joined" else act.kind
            if column in _COUNTS:
                self.counts.setdefault(body["processing"] or "", Counter())[column] += 1
            for digest in _shown(body):
                if digest in self.texts:
                    self.shown[digest] += 1
                    self.languages.setdefault(digest, set()).add(str(body["evidence"].get("language") or ""))


class _Writer:
    """Puts what was read into words of one language."""

    def __init__(self, language: Language, gathered: _Gathered, reading: BundleReading, kept: _Kept) -> None:
        self.language, self._gathered, self._reading, self._kept = language, gathered, reading, kept
        self._t = BUNDLE.in_language(language)

    def keep_history(self, person: str, acts: Sequence[_Act]) -> None:
        """Keep the history of one person until it is written."""
        context = {"person": person, "acts": [self._act(each) for each in acts]}
        self._kept.write(piece("bundle_history.html", self.language, BUNDLE, context))

    async def write_to(self, file: Sink) -> None:
        """Write the page, once all is known."""
        # Escaped text cannot look like one of these places.
        above, _, rest = self._frame().partition("<!-- register -->")
        between, _, rest = rest.partition("<!-- texts -->")
        before, _, after = rest.partition("<!-- histories -->")
        file.write(above.encode())
        async for entry in self._reading.of_kinds("register_version", "status_change", "invalidation"):
            file.write(self._registered(entry).encode())
        file.write(between.encode())
        async for entry in self._reading.of_kinds("presented_text"):
            file.write(self._text(entry).encode())
        file.write(before.encode())
        self._kept.copy_to(file)
        file.write(after.encode())

    def _frame(self) -> str:
        """The page with places for the register, the texts and the histories."""
        bundle, gathered = self._reading.bundle, self._gathered
        context = {
            "title": self._t["title"],
            "other": (_FILES[self.language.other], self.language.other.value),
            "missing": self._t["missing"].format(number=self._number(gathered.missing)) if gathered.missing else "",
            "has_texts": bool(gathered.texts),
            "about": self._about(bundle),
            "selected": list(self._selected(bundle)),
            "heads": [each[self.language] for each in _COUNTS.values()],
            "counts": [
                (self._named(processing), [self._number(count[column]) for column in _COUNTS])
                for processing, count in sorted(gathered.counts.items())
            ],
            "total": [self._number(sum(each[column] for each in gathered.counts.values())) for column in _COUNTS],
            "people": self._t["people"].format(number=self._number(gathered.people)),
            "proof": read_as_html(read_me(self.language), self.language),
        }
        return document("bundle.html", self.language, BUNDLE, context)

    def _about(self, bundle: Bundle) -> list[tuple[str, str]]:
        plan = bundle.plan
        period = "period" if plan.since or plan.until else "period_all"
        rows = [
            (self._t["deployment"], bundle.origin.removesuffix("/ledger")),
            (self._t["controllers"], listed(sorted(set(self._gathered.controllers.values())), self.language)),
            (
                self._t["asked"],
                self._t[period].format(
                    since=self._moment(plan.since) if plan.since else self._t["beginning"],
                    until=self._moment(plan.until) if plan.until else self._t["end"],
                ),
            ),
            (
                self._t["entries"],
                self._t["entries_said"].format(
                    number=self._number(bundle.entries),
                    first=self._number(bundle.first),
                    last=self._number(bundle.checkpoint.size - 1),
                    signed=self._moment(bundle.checkpoint.signed_at),
                ),
            ),
            (self._t["made"], self._moment(self._gathered.now)),
        ]
        return [(question, answer) for question, answer in rows if answer]

    def _selected(self, bundle: Bundle) -> Iterator[str]:
        """What the operator selected for the bundle, a sentence for each choice."""
        plan = bundle.plan
        if plan.processing is None and bundle.person is None:
            yield self._t["chose_all"]
        if plan.processing is not None:
            yield self._t["chose_processing"].format(processing=self._named(plan.processing))
        if bundle.person is not None:
            yield self._t["chose_person"]
        if plan.is_anchored:
            yield self._t["chose_anchored"]
        if self._reading.withheld:
            yield self._t["withheld"].format(number=self._number(self._reading.withheld))
        if bundle.waiting:
            yield self._t["waiting"].format(number=self._number(bundle.waiting))

    def _registered(self, entry: OpenedEntry) -> str:
        """A version, a change of status or an invalidation of the register."""
        body = entry.facts
        rows = [(self._t["entry"], self._number(entry.position))]
        notices: list[tuple[str, str, str]] = []
        if "notice" in body:
            title = f"{self._named(body['processing'])}, {self._t['version']} {body['number']}"
            rows += [
                (self._t["in_force_from"], self._moment(_at(body["effective_from"]))),
                (self._t["purpose"], self._word(PURPOSE_WORDS, body["purpose"])),
                (
                    self._t["controllers"],
                    "; ".join(self._gathered.controllers.get(each, each) for each in body["controllers"]),
                ),
                (self._t["elements"], "; ".join(self._word(ELEMENT_WORDS, each) for each in body["elements"])),
                (self._t["recipients"], "; ".join(body["data_recipients"] or [])),
                (self._t["storage"], self._stored(body["retention"])),
            ]
            notices = [
                (spoken, text, sha256(text.encode()).hexdigest()) for spoken, text in sorted(body["notice"].items())
            ]
        elif "status" in body:
            title = f"{self._named(body['processing'])}, {self._word(STATUS_WORDS, body['status'])}"
            rows.append((self._t["when"], self._moment(_at(body["at"]))))
        else:
            title = f"{self._named(body['processing'])}, {self._t['invalidated']}"
            rows += [
                (self._t["when"], self._moment(_at(body["at"]))),
                (self._t["version"], str(body["version"] or "")),
                (self._t["sha256"], _hex(body["text_sha256"] or "")),
                (self._t["reason"], body["reason"] or ""),
            ]
        context = {
            "title": title,
            "position": entry.position,
            "rows": [row for row in rows if row[1]],
            "notices": notices,
        }
        return piece("bundle_registered.html", self.language, BUNDLE, context)

    def _text(self, entry: OpenedEntry) -> str:
        """A text, or a whole page, that people were shown, as it was kept."""
        body, digest = entry.facts, _hex(entry.facts["sha256"])
        page = _A_PAGE.match(body["text"])
        spoken = {page[1]} if page is not None else self._gathered.languages.get(digest, set()) - {""}
        # Unfolded, so that all of it is printed.
        shown = body["text"].replace("<details", "<details open") if page is not None else ""
        context = {
            "number": self._gathered.texts[digest],
            "digest": digest,
            "entry": self._number(entry.position),
            "languages": ", ".join(sorted(spoken)),
            "spoken": min(spoken, default=self.language.value),
            "kept": self._moment(_at(body["kept_at"])),
            "decisions": self._number(self._gathered.shown[digest]),
            "page": shown,
            "height": _height(shown),
            "lines": [] if page is not None else body["text"].split("\n"),
        }
        return piece("bundle_text.html", self.language, BUNDLE, context)

    def _act(self, act: _Act) -> dict[str, Any]:
        body, evidence, t = act.entry.facts, act.entry.facts["evidence"] or {}, self._t
        about = body["processing"] is not None
        kind = act.kind if about or act.kind != "withdrawn" else "withdrawn_all"
        kind = "retired" if about and kind == "closed" else kind
        giver = _giver(body)
        notes = [
            f"{t['version']} {body['version']}" if body["version"] is not None else "",
            f"{t['until']} {self._set(dates.until(_at(body['expires_at']), self.language))}"
            if body["expires_at"]
            else "",
            self._word(_WAYS, giver) if giver != "self" else "",
            t["imported"] if body["imported"] else "",
            f"Sceau {evidence['build']}" if evidence.get("build") else "",
        ]
        how = [evidence[each] for each in ("method", "positive_act", "authentication") if evidence.get(each)]
        return {
            "when": self._moment(_at(body["collected_at"])),
            "said": self._word(_ACTS, kind),
            "name": self._named(body["processing"]) if about else "",
            "notes": [each for each in notes if each],
            "how": [self._word(_WAYS, each) for each in how],
            "texts": [self._linked(digest) for digest in _shown(body)],
            "by": self._gathered.callers[body["recorded_by"]],
            "entry": self._number(act.entry.position),
        }

    def _linked(self, digest: str) -> tuple[str, str]:
        """The anchor of a text on the page and its label; if the page lacks the text, no anchor and its hash."""
        if digest in self._gathered.texts:
            return f"#t{self._gathered.texts[digest]}", f"{self._t['text']} {self._gathered.texts[digest]}"
        if digest in self._gathered.notices:
            return f"#r{self._gathered.notices[digest]}", self._t["notice"]
        return "", digest

    def _named(self, processing: str) -> str:
        if not processing:
            return self._t["all_processings"]
        names = self._gathered.names.get(processing, {})
        name = names.get(self.language.value) or next(iter(names.values()), "")
        return f"{name.translate(_UNTURNED)} ({processing})" if name else processing

    def _word(self, catalogue: Catalogue, name: object) -> str:
        """The word for a value; the value itself if a row was altered to hold one that Sceau does not know."""
        return self._set(catalogue[name][self.language]) if isinstance(name, str) and name in catalogue else str(name)

    def _stored(self, retention: str | None) -> str:
        try:
            return (retention_in_words(Retention.parse(retention), self.language) if retention else None) or ""
        except InvalidPeriodError:
            return str(retention)

    def _moment(self, at: datetime) -> str:
        return self._set(dates.moment(at, self.language))

    def _set(self, text: str) -> str:
        return typeset(text, self.language)

    def _number(self, number: int) -> str:
        return dates.integer(number, self.language)


def read_as_html(text: str, language: str) -> Markup:
    """The few signs of Markdown that the bundle's README has, as HTML one heading lower."""
    html = Markup()
    for block in re.split(r"\n{2,}", text.strip("\n")):
        if block.startswith("#"):
            signs, _, title = block.partition(" ")
            html += Markup("<h{0}>{1}</h{0}>\n").format(len(signs) + 1, _inline(title, language))
        elif block.startswith("    "):
            html += Markup("<pre><code>{}</code></pre>\n").format(block.strip())
        elif block.startswith("- "):
            items = [Markup("<li>{}</li>\n").format(_inline(each, language)) for each in block[2:].split("\n- ")]
            html += Markup("<ul>\n{}</ul>\n").format(Markup().join(items))
        else:
            html += Markup("<p>{}</p>\n").format(_inline(block, language))
    return html


def _inline(text: str, language: str) -> Markup:
    html = str(escape(typeset(" ".join(text.split()), language)))
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", html)
    return Markup(re.sub(r"\*([^*]+)\*", r"<em>\1</em>", html))  # noqa: S704 - escaped above


def _shown(body: Mapping[str, Any]) -> list[str]:
    """The SHA-256 hashes of what an event says was shown: the text of the question, and the whole page."""
    evidence = body["evidence"] or {}
    digests = [str(evidence.get(name) or "") for name in ("presented_text_sha256", "presented_page_sha256")]
    return [each.lower() for each in digests if each]


def _height(page: str) -> int:
    """The height of a page's frame, in rem: a quarter more than estimated, since what does not fit is not printed."""
    text = re.sub("<[^>]*>", "", page.partition("<body")[2])
    return 20 + 6 * sum(2 + len(line) // _LINE for line in text.split("\n") if line.strip()) // 5


def _hex(text: str) -> str:
    """The hexadecimal digits of bytes, without the prefix that PostgreSQL writes into JSON."""
    return text.removeprefix("\\x")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
