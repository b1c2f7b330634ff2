"""The pages of a bundle show an auditor all that it holds, in two languages, and nothing that it leaves out."""

import json
import re
from html.parser import HTMLParser

import pytest

from app.operations.proof import bundle as bundling
from app.operations.proof.bundle import OpenedEntry
from app.pages.bundle import _acts, read_as_html
from app.proof.entries import read_me
from tests.proof.logs import INCOMPLETE, WRONG, Log, copied, ended, file_of, lines_of, rewritten
from tests.support.api import TestClock, processing, running, subject, utc
from tests.support.consent_page import Person, link
from tests.support.databases import new_database

PAGES = {"fr": "data/index.html", "en": "data/index.en.html"}
VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}
HOSTILE = "<script>alert('x')</script> \N{RIGHT-TO-LEFT OVERRIDE}txt.exe"
DAY = "2026-11-25T11:40:00Z"


class Read(HTMLParser):
    """A page as a browser takes it: its text, its elements, and whether each that is opened is closed in its place."""

    def __init__(self, html):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.astray: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.words).split()).replace("\N{NARROW NO-BREAK SPACE}", " ")

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Note one that closes what is not open last."""
        if not self.open or self.open.pop() != tag:
            self.astray.append(tag)

    def handle_data(self, data):
        """Note words."""
        if "style" not in self.open:
            self.words.append(data)


def page(bundle, language="fr"):
    """A page of a bundle, as HTML."""
    return file_of(bundle, PAGES[language]).decode()


def rows(html):
    """What stands in the table of histories: for each person the texts of the rows."""
    marks = {}
    for part in re.findall(r"<tbody>\n<tr><th colspan.*?</tbody>", html, flags=re.DOTALL):
        (person,) = re.findall(r"<code>([0-9a-f]{32})</code></th>", part)
        marks[person] = [Read(row).text for row in re.findall(r"<tr><td>.*?</tr>", part)]
    return marks


def person_of(bundle, consent):
    """What a bundle calls the person of a consent."""
    for line in lines_of(bundle):
        if consent in line.get("body", ""):
            return line["people"]["subject_ref"]
    return None


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A deployment in which one person went through everything on the page, and others answered by other ways."""
    with new_database() as database:
        clock = TestClock(utc(DAY))
        with running(database, clock=clock) as api:
            body = processing("ads", name={"fr": f"Publicité {HOSTILE}", "en": f"Advertising {HOSTILE}"})
            api.ok("POST", "/v1/processings", body)
            api.register("stats", purpose="statistics")
            consents = {}
            Person(api, link(api, "alice", "ads")).press("accept", "ads")
            query = {"subject": subject("alice")}
            consents["alice"] = api.ok("POST", "/v1/consents/search", query)["items"][0]["id"]
            clock.at = utc("2026-11-26T11:40:00Z")
            api.decide("alice", "ads")
            clock.at = utc("2026-11-27T11:40:00Z")
            api.withdraw("alice")
            clock.at = utc("2026-11-28T11:40:00Z")
            api.ok("POST", "/v1/subjects/erasures", query)
            consents["bruno"] = api.decide("bruno", "stats", "refused")["id"]
            consents["chloe"] = api.decide("chloe", "ads")["id"]
        log = Log(database, tmp_path_factory.mktemp("made"))
        log.append()
        yield log, consents


@pytest.fixture(scope="module")
def bundle(made):
    """A bundle of the whole deployment."""
    return made[0].bundle(name="all.zip")


SAID = {
    "fr": [
        "25 novembre 2026 à 12 h 40 (heure de Paris) Accord donné Publicité",
        "26 novembre 2026 à 12 h 40 (heure de Paris) Accord renouvelé Publicité",
        "27 novembre 2026 à 12 h 40 (heure de Paris) Tous les accords retirés transmis par",
        "28 novembre 2026 à 12 h 40 (heure de Paris) Compte clos : tous les accords prennent fin transmis par",
        "28 novembre 2026 à 12 h 40 (heure de Paris) Personne effacée : plus rien ne mène à elle transmis par",
    ],
    "en": [
        "25 November 2026 at 12:40 (Paris time) Consent given Advertising",
        "26 November 2026 at 12:40 (Paris time) Consent renewed Advertising",
        "27 November 2026 at 12:40 (Paris time) All consents withdrawn handed in by",
        "28 November 2026 at 12:40 (Paris time) Account closed: all consents end handed in by",
        "28 November 2026 at 12:40 (Paris time) Person erased: nothing leads to them any more handed in by",
    ],
}


@pytest.mark.parametrize("language", PAGES)
def test_a_history_is_told_in_words_and_in_order(made, bundle, language):
    """A person's history is told in words, in order and with dates, under the name that the entries use."""
    _, consents = made
    shown = rows(page(bundle, language))
    mine = shown[person_of(bundle, consents["alice"])]
    assert len(mine) == len(SAID[language])
    for line, wanted in zip(mine, SAID[language], strict=True):
        assert line.replace("\N{NO-BREAK SPACE}", " ").startswith(wanted)
    assert {len(each) for each in shown.values()} == {5, 1}
    assert len(shown) == 3


@pytest.mark.parametrize("language", PAGES)
def test_what_is_in_the_bundle_stands_on_the_page(bundle, language):
    """The page has each text that was shown, with its hash, the counts, and what is proved and what is not."""
    html = page(bundle, language)
    read = Read(html)
    size = json.loads(file_of(bundle, "data/log.json"))["size"]
    shown = [json.loads(line["body"]) for line in lines_of(bundle) if '"kind":"presented_text"' in line["entry"]]
    frames = [attributes["srcdoc"] for tag, attributes in read.elements if tag == "iframe"]
    assert {each["text"].startswith("<!doctype html>") for each in shown} == {True, False}
    for each in shown:
        assert each["sha256"].removeprefix("\\x") in read.text
        if each["text"].startswith("<!doctype html>"):
            assert each["text"].replace("<details", "<details open") in frames
        else:
            assert " ".join(each["text"].split()) in read.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "sceau.example.fr" in read.text
    assert str(size - 1) in read.text
    proved = " ".join(Read(read_as_html(read_me(language), language)).text.split())
    assert proved in read.text
    counts = {"fr": "Total 2 1 1 1 0 2", "en": "Total 2 1 1 1 0 2"}
    assert counts[language] in read.text


@pytest.mark.parametrize("language", PAGES)
def test_the_page_is_whole_and_stands_alone(bundle, language):
    """A page's elements are all closed; it has no script, loads and folds nothing, and its frames are sandboxed."""
    read = Read(page(bundle, language))
    assert (read.astray, read.open) == ([], [])
    tags = {tag for tag, _ in read.elements}
    assert tags & {"script", "link", "img", "form", "details", "object", "base"} == set()
    assert ("html", {"lang": language}) in read.elements
    policy = next(each["content"] for _, each in read.elements if each.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    for tag, attributes in read.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert str(attributes.get("href", "#")).startswith(("#", "index")), attributes
        assert "src" not in attributes
        if tag == "iframe":
            assert attributes["sandbox"] is None


def test_an_element_that_is_not_closed_is_seen():
    """Control: the reader of pages finds what is out of place."""
    assert Read("<p><b>x</p></b>").astray == ["p", "b"]
    assert Read("<p>x").open == ["p"]


@pytest.mark.parametrize("language", PAGES)
def test_words_of_others_are_words(bundle, language):
    """A name that holds a script, or turns the direction of writing, is shown as text in a separate element."""
    html = page(bundle, language)
    assert "<script" not in html
    assert html.count(f"{HOSTILE[:8].replace('<', '&lt;').replace('>', '&gt;')}") > 3
    turned = "\N{RIGHT-TO-LEFT OVERRIDE}"
    lines = [line for line in re.sub(r'srcdoc="[^"]*"', "", html).split("\n") if turned in line]
    assert lines  # of the text that was shown, which stands there as it was, each line for itself
    assert [line for line in lines if not line.startswith('<p dir="auto">')] == []


def test_what_is_withheld_is_not_on_the_page(made):
    """The page of a bundle of one person or processing shows no other events, and says what was chosen."""
    log, consents = made
    mine = log.bundle("--person-of", consents["bruno"], name="bruno.zip")
    assert list(rows(page(mine))) == [person_of(mine, consents["bruno"])]
    text = Read(page(mine)).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "L'exploitant dit : ce qui concerne d'autres personnes qu'une seule" in text.replace("’", "'")
    assert "figure dans le dossier : 6." in text
    stats = log.bundle("--processing", "stats", name="stats.zip")
    assert [len(each) for each in rows(page(stats, "en")).values()] in ([3, 1], [1, 3])  # what is about all of them too
    assert "consents to other processings than Processing (stats) were left out" in Read(page(stats, "en")).text


def test_a_bundle_verifies_as_before_and_the_page_is_listed(made, tmp_path):
    """The manifest lists the pages and the verifier, so that a page that is changed afterwards is named."""
    with copied(made[0], tmp_path) as log:
        bundle = log.bundle()
        assert ended(log.verify(bundle), INCOMPLETE, "files against their SHA-256")
        listed = file_of(bundle, "manifest-sha256.txt").decode()
        assert all(f"  {name}\n" in listed for name in (*PAGES.values(), "data/verify.py"))
        assert log.alone(bundle, "--key", log.key().split("\n")[0]).returncode == INCOMPLETE
        assert file_of(bundle, "data/verify.py") == (log.place / "verify.py").read_bytes()
        changes = {PAGES["fr"]: lambda content: content.replace(b"Refus", b"Accord")}
        forged = rewritten(bundle, tmp_path / "forged.zip", changes)
        assert ended(log.verify(forged), WRONG, f"{PAGES['fr']}: it was changed after the bundle was made")


def test_a_person_is_read_across_the_pieces(made, bundle, monkeypatch):
    """Each person stands on the page once and whole, however few events are read at once."""
    log, consents = made
    monkeypatch.setattr(bundling, "_TOGETHER", 2)
    other = log.bundle(name="pieces.zip")
    for language in PAGES:
        at_once, pieces = rows(page(bundle, language)), rows(page(other, language))
        assert list(at_once.values()) == list(pieces.values())
    assert len(rows(page(other))[person_of(other, consents["alice"])]) == 5


def test_a_bundle_of_a_later_time_tells_its_own_entries_alone(made, tmp_path):
    """The page of a bundle does not show what came before its first entry."""
    with copied(made[0], tmp_path) as log:
        with running(log.database) as api:
            api.decide("dora", "stats")
        log.superuser("UPDATE proof_checkpoint SET signed_at = signed_at - interval '1 hour'")  # two in one second
        log.append()
        signed = log.value("SELECT max(signed_at) AT TIME ZONE 'UTC' FROM proof_checkpoint")
        later = log.bundle("--since", f"{signed:%Y-%m-%dT%H:%M:%S}")
        assert [len(each) for each in rows(page(later)).values()] == [1]


def _kinds(*acts):
    """The kinds that are told of a person's events: (kind, day, processing, giver)."""
    entries = [
        OpenedEntry(
            at,
            {
                "kind": kind,
                "processing": about,
                "collected_at": f"2026-01-{day:02}T00:00:00+00:00",
                "expires_at": "2026-01-20T00:00:00+00:00" if kind == "granted" else None,
                "capacity": {"given_by": giver},
            },
        )
        for at, (kind, day, about, giver) in enumerate(acts)
    ]
    return [each.kind for each in _acts(entries)]


PARENT = "holder_of_parental_responsibility"


@pytest.mark.parametrize(
    ("acts", "kinds"),
    [
        ([("granted", 1, "a", "self"), ("granted", 2, "a", "self")], ["given", "renewed"]),
        ([("granted", 1, "a", "self"), ("granted", 2, "b", "self")], ["given", "given"]),
        ([("granted", 1, "a", "self"), ("granted", 21, "a", "self")], ["given", "given"]),
        ([("granted", 1, "a", "self"), ("granted", 2, "a", PARENT)], ["given", "joined"]),
        ([("granted", 3, "a", "self"), ("granted", 2, "a", "self")], ["given", "given"]),
        (
            [("granted", 1, "a", "self"), ("withdrawn", 2, None, "self"), ("granted", 3, "a", "self")],
            ["given", "withdrawn", "given"],
        ),
        (
            [("granted", 1, "a", "self"), ("age_stated", 2, None, "self"), ("granted", 3, "a", "self")],
            ["given", "age_stated", "renewed"],
        ),
        (
            [("granted", 1, "a", "self"), ("expired", 2, "a", "self"), ("granted", 3, "a", "self")],
            ["given", "expired", "given"],
        ),
    ],
)
def test_a_grant_is_told_by_what_stands(acts, kinds):
    """A grant is told as a renewal of one in force, as the second half of a joint one, or else as new."""
    assert _kinds(*acts) == kinds


def test_the_readme_is_rendered_whole():
    """Headings, lists, code and stress of the one source become HTML, and what looks like HTML stays text."""
    html = str(read_as_html("# A *b* `c`\n\ntext <i>\nmore\n\n- one\n  two\n- three\n\n    run `x`\n", "en"))
    assert html == (
        "<h2>A <em>b</em> <code>c</code></h2>\n<p>text &lt;i&gt; more</p>\n"
        "<ul>\n<li>one two</li>\n<li>three</li>\n</ul>\n<pre><code>run `x`</code></pre>\n"
    )
