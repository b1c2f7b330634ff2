"""The report of a month for a data-protection officer: what it counts, and that it names no data subject."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.core.article import PARIS
from app.operations.register.report import _ON_PEOPLE, ACTS
from app.pages.report import ACTS as WORDS
from tests.faults.service import eventually
from tests.support.api import question, running, subject
from tests.support.commands import run_command
from tests.support.databases import new_database
from tests.support.invalidations import invalidate
from tests.support.two_persons import add

EXPORT = "/v1/subjects/exports"


@pytest.fixture(scope="module")
def database():
    """The database of a service in which something of each kind happened this month."""
    with new_database() as made, running(made, decision_log="durable") as api:
        api.register("ads")
        api.register("resale", purpose="other")
        api.ok("PATCH", "/v1/processings/resale", {"status": "suspended"})
        for name in ("alice", "bruno"):
            api.decide(name, "ads")
        api.decide("chloe", "ads", "refused")
        api.withdraw("bruno", "ads")
        for processing in ("ads", "nobody@example.fr"):
            api.ok("POST", "/access/v1/evaluation", question("alice", processing))
        api.decide("dora", "ads", "refused")
        api.decide("emil", "ads", "refused")
        api.ok("POST", "/v1/subjects/closures", {"subject": subject("emil")})
        for name in ("dora", "dora", "emil", "emil", "never-seen"):
            api.ok("POST", "/v1/subjects/erasures", {"subject": subject(name)})
        eventually(lambda: len(api.ok("POST", "/v1/decisions/search", {})["items"]) == 2)
        api.call("POST", EXPORT, {"subject": subject("alice")})
        yield made


@pytest.fixture
def written(database, tmp_path):
    """Write a report; its content."""

    def write(*words):
        month = f"{datetime.now(UTC).astimezone(PARIS):%Y-%m}"
        arguments = words if "--month" in words else (*words, "--month", month)
        status, errors, _ = run_command(database, "report", "-o", tmp_path / "report", *arguments)
        assert status == 0, errors
        return (tmp_path / "report").read_text(encoding="utf-8")

    return write


def test_it_counts_what_was_recorded(written):
    """A report counts answers and decisions by processing, acts on the register, and the people who were erased."""
    document = json.loads(written("--format", "json"))
    events = {(each["processing"], each["kind"]): each["number"] for each in document["events"]}
    assert [events["ads", kind] for kind in ("granted", "refused", "withdrawn")] == [2, 3, 1]
    answers = {(each["processing"], each["reason"]): each["number"] for each in document["answers"]}
    assert answers == {("ads", "consent_in_force"): 1, ("", "unknown_processing"): 1}
    acts = [each["act"] for each in document["acts"]]
    assert acts.count("processing.registered") == 2
    assert "processing.suspended" in acts
    assert (document["erasures"], document["exports"] >= 1, document["dropped"]) == (2, True, 0)
    assert document["staff"] is not None


def test_what_lapses_soon_is_in_force_until_then(tmp_path):
    """Counted are consents that decisions rest on now, whatever the sweep has flagged, by when they really end."""
    lasting = {"ads": 3, "struck": 0, "unlawful": 0, "remade": 1, "shortened": 3, "later": 0}
    with new_database() as made:
        with running(made) as api:
            for name in lasting:
                validity = {"shortened": "P1Y", "later": "P1Y"}.get(name, "P45D")
                api.register(name, consent_validity=validity, age_statement_required=name == "remade")
                how = {"default_state": "selected"} if name == "unlawful" else {}
                for who in ("alice", "bruno", "chloe"):
                    age = {"age_band": "adult"} if who == "alice" else {}
                    api.decide(who, name, evidence=how, capacity={"given_by": "self", **age})
            assert invalidate(api, "struck").is_success
            assert add(api, "shortened", consent_validity="P45D", material=False, reason="Shorter.").status_code == 201
        month = f"{datetime.now(UTC).astimezone(PARIS):%Y-%m}"
        assert run_command(made, "report", "-o", tmp_path / "report", "--month", month, "--format", "json")[0] == 0
    document = json.loads((tmp_path / "report").read_text(encoding="utf-8"))["lapsing"]
    assert document == {name: number for name, number in lasting.items() if number}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ("Registre des traitements", "n’est jamais permis", "traitement suspendu resale", "Accords")),
        ("en", ("Register of processings", "is never permitted", "processing suspended resale", "Consents")),
    ],
)
def test_it_is_a_document_in_words(written, language, words):
    """A report is a document that stands alone, in either language."""
    text = written("--language", language).replace("\N{NO-BREAK SPACE}", " ")
    assert f'<html lang="{language}">' in text
    assert [each for each in words if each not in text] == []
    assert '<link rel="stylesheet"' not in text
    assert "http://" not in text


def test_it_names_nobody_whose_consents_these_are(written):
    """A report names no person and no unregistered processing, in any form."""
    for words in ((), ("--format", "json")):
        text = written(*words)
        assert [name for name in ("alice", "bruno", "chloe", "dora", "nobody@example.fr") if name in text] == []


def test_another_month_has_nothing_of_it(written):
    """The report of the month before this one has nothing of this month."""
    before = datetime.now(UTC).astimezone(PARIS).replace(day=1) - timedelta(days=1)
    document = json.loads(written("--format", "json", "--month", f"{before:%Y-%m}"))
    assert (document["events"], document["answers"], document["acts"]) == ([], [], [])
    assert datetime.fromisoformat(document["since"]).astimezone(PARIS).strftime("%d %H:%M") == "01 00:00"
    assert datetime.fromisoformat(document["until"]).astimezone(PARIS).strftime("%d %H:%M") == "01 00:00"
    assert json.loads(written("--format", "json", "--month", f"{before:%Y-%m}"))["since"] == document["since"]


def test_the_last_whole_month_is_the_usual_one(database, tmp_path):
    """A report without a month is of the last whole month."""
    status, errors, _ = run_command(database, "report", "-o", tmp_path / "report", "--format", "json")
    before = datetime.now(UTC).astimezone(PARIS).replace(day=1) - timedelta(days=1)
    assert (status, errors) == (0, f"The report of {before:%Y-%m} is written.\n")


def test_each_act_has_its_words():
    """Each act that a report lists has its words."""
    assert {each.value for each in ACTS} - _ON_PEOPLE == set(WORDS)


def test_a_month_to_come_is_refused(database, tmp_path):
    """A report of a future month is refused, also of the last month of the calendar."""
    for month in (f"{datetime.now(UTC) + timedelta(days=40):%Y-%m}", "9999-12"):
        status, errors, _ = run_command(database, "report", "-o", tmp_path / "report", "--month", month)
        assert (status, "that month has not begun" in errors) == (2, True)
