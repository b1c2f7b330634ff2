"""The pages of docs/start lead to what they promise: each command is run as it stands, and the time is printed."""

import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e.doors.followed import START, Follower, terminals, told
from tests.e2e.programs import bare
from tests.faults.service import free_port
from tests.packaging.wheels import ROOT

PERMIT, DENY = '"decision":true', '"decision":false'
WRITTEN = {
    "dpo.md": ("record.csv", "report.html", "person.json"),
    "dpo.fr.md": ("registre.csv", "rapport.html", "personne.json"),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Follower]:
    """The demo as the first page starts it, in an empty folder."""
    folder, port, since = tmp_path_factory.mktemp("door"), free_port(), time.monotonic()
    places = {"./dev demo": f"{ROOT}/dev demo --data {folder}/.sceau --port {port}", "./dev sceau": f"{ROOT}/dev sceau"}
    follower = Follower(folder, port, places, bare({"SCEAU_URL": f"http://127.0.0.1:{port}"}))
    first = terminals((START / "try.md").read_text())[0]
    with follower.serving(first, lambda printed: "Ctrl-C" in printed):
        told("the demo, until it serves", since)
        yield follower


def followed(demo: Follower, page: str) -> str:
    """What the second terminal of a page printed."""
    since = time.monotonic()
    second = terminals((START / page).read_text())[-1]
    assert not second.serves
    printed = demo.type_in(second)
    told(page, since)
    return printed


def test_try_it_ends_with_three_answers(demo):
    """A consent permits, nobody else's is one, and a spam filter needs none; the console is where it says."""
    permit, deny, exempt = followed(demo, "try.md").splitlines()
    assert (PERMIT in permit, DENY in deny, PERMIT in exempt) == (True, True, True)
    assert ("no_consent" in deny, "exempt" in exempt) == (True, True)
    for path in ("console", "docs"):
        assert (
            httpx2.get(f"http://127.0.0.1:{demo.port}/{path}", trust_env=False, follow_redirects=True).status_code
            == 200
        )


def test_a_developer_asks_grants_and_withdraws(demo):
    """The three answers are those that the page names, in its order."""
    printed = followed(demo, "developer.md")
    decisions = [line for line in printed.splitlines() if '"decision":true' in line or '"decision":false' in line]
    for reason, line in zip(("no_consent", "consent_in_force", "consent_withdrawn"), decisions, strict=True):
        assert f'"reason":"{reason}"' in line


@pytest.mark.parametrize("page", WRITTEN)
def test_a_dpo_gets_record_report_and_overview(demo, page):
    """Each file that the page promises is there and holds something, and the link opens the person's page."""
    printed = followed(demo, page)
    for name in WRITTEN[page]:
        assert (demo.folder / name).stat().st_size > 500, name
    assert "max@people.example" not in (demo.folder / WRITTEN[page][1]).read_text()
    assert httpx2.get(printed.splitlines()[-1], trust_env=False).status_code == 200


def test_an_auditor_verifies_a_bundle(demo):
    """The verdict is the one that the page foretells: good as far as it goes, not anchored."""
    printed = followed(demo, "auditor.md")
    assert "not anchored" in printed
    assert "WRONG" not in printed
    assert "def " in (demo.folder / "verify.py").read_text()


def test_a_page_fits_a_page():
    """No door is longer than a page: seventy lines."""
    assert {page.name for page in START.glob("*.md")} == {
        *WRITTEN,
        "try.md",
        "operator.md",
        "developer.md",
        "auditor.md",
    }
    assert [page.name for page in START.glob("*.md") if len(page.read_text().splitlines()) > 70] == []
