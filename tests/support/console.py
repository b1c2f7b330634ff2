"""The console as a browser without scripts uses it; and its numbers of consents counted as a job counts them."""

import html
import re
from typing import Any

from app.audit.figures import JobRun
from app.core.period import PeriodPolicy
from app.db.database import Database
from app.operations.consents.projections import count_consents
from app.operations.service.show_home import record_job_run
from tests.support.api import BOOTSTRAP, Api
from tests.support.databases import TestDatabase
from tests.support.pools import in_a_pool

SITE = "https://testserver"
COOKIE = "__Host-sceau_session"


def count(database: TestDatabase, clock: Any = None, policy: PeriodPolicy | None = None) -> None:
    """Count consents once."""

    async def once(pool: Database) -> None:
        async with pool.write() as session:
            await count_consents(session, policy or PeriodPolicy())

    in_a_pool(database, once, clock=clock)


class Seen:
    """One answer, read."""

    def __init__(self, answer: Any) -> None:
        """Read it."""
        self.status: int = answer.status_code
        self.headers = answer.headers
        self.content: bytes = answer.content
        self.html: str = answer.text

    @property
    def proof(self) -> str:
        """The hidden value of its form."""
        match = re.search(r'name="proof" value="(\w+)"', self.html)
        assert match is not None, self.html
        return match[1]

    @property
    def fields(self) -> dict[str, str]:
        """The hidden values of its last form."""
        form = self.html.rpartition("<form")[2]
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', form))

    def text(self, section: str | None = None) -> str:
        """What can be read on it, or in one of its sections, with the apostrophes of a keyboard."""
        part = self.html
        if section is not None:
            part = part.split(f'data-section="{section}"', 1)[1].split("</section>", 1)[0].partition(">")[2]
        return " ".join(
            html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</?span lang[^>]*>|</span>", "", part))).split()
        ).replace("’", "'")


class Visitor:
    """A browser of an operator, with its cookies."""

    def __init__(self, api: Api, lang: str = "en") -> None:
        """Come with no cookie."""
        self.client, self._shown = api.client, api.shown
        self.lang = lang
        self.client.cookies.clear()

    def get(self, path: str = "/console", **headers: str) -> Seen:
        """Open a page, and follow where it leads."""
        return Seen(self.client.get(f"{SITE}{path}?lang={self.lang}", headers=headers))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Seen:
        """Send a form, and follow where it leads."""
        self._shown.clear()
        return Seen(self.client.post(f"{SITE}{path}?lang={self.lang}", data=fields, headers=headers))

    def sign_in(self, key: str = BOOTSTRAP, form: str = "/console/sign-in") -> Seen:
        """Fill in the form that asks for a key."""
        proof = self.get(form).proof
        return self.post(form, {"proof": proof, "key": key})


def forget_attempts(api: Api) -> None:
    """Forget all failed attempts to sign in."""
    client: Any = api.client
    client.app.state.services.sign_ins._levels.clear()


def run_recorded(database: TestDatabase, run: JobRun) -> None:
    """Record a run of a background task."""

    async def once(pool: Database) -> None:
        async with pool.write() as session:
            await record_job_run(session, run)

    in_a_pool(database, once)
