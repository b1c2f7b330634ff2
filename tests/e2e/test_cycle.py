import contextlib

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.e2e.pages.consent import ADS, Operator, press
from tests.e2e.service import service
from tests.e2e.sweeping import sweep
from tests.faults.service import eventually
from tests.webhooks.courier import Stage
from tests.webhooks.receivers import answering, listening
from tests.webhooks.verifying import signed_by

DAY = 86_400
WHO = "year@example.fr"


class Year:
    """A service whose clock moves, its jobs process, a receiver of its webhooks, and the operator of both."""

    def __init__(self, folder, stage, run):
        """Start at today."""
        self.data, self._moved = folder / "data", folder / "moved"
        self.day(0)
        self.receiver = stage.enter(listening(answering(204)))
        address, key = run(service(self.data, moved=self._moved, SCEAU_WEBHOOK_NETWORKS="127.0.0.0/8"))
        self.operator = Operator(address, key)
        self.operator.register()
        self.endpoint = self.operator.ok("/v1/webhooks", {"url": self.receiver.url, "include_subject": True})["id"]
        wanted = {"use": "webhook_secret", "webhook": self.endpoint}
        self.secret = self.operator.ok("/v1/signing-keys", wanted)["secret"]

    def day(self, number):
        """Move the clock to so many days from the start."""
        draft = self._moved.with_suffix(".new")
        draft.write_text(str(number * DAY))
        draft.replace(self._moved)  # whole, for whoever reads it meanwhile

    def flagged(self, kind):
        """The one flag of a kind, once the sweep has run."""
        sweep(self.data)
        query = f"/v1/renewals?processing={ADS}&kind={kind}"
        (flag,) = self.operator.client.get(query).json()["items"]
        return flag

    def told(self, *kinds):
        """What arrived so far: these kinds in this order, one of each, all verified; the last one's data."""
        eventually(lambda: len(self.receiver.came) >= len(kinds))
        for request in self.receiver.came:
            self.verify(request)
        types = [request.json["type"] for request in self.receiver.came]
        assert types == [f"fr.sceau.consent.{kind}" for kind in kinds]
        return self.receiver.came[-1].json["data"]

    def verify(self, request):
        """Verify a request as a receiver does, both ways; altered, it verifies in neither."""
        published = httpx2.get(f"{self.operator.address}/.well-known/webhook-keys", trust_env=False).json()
        (key,) = [each["public_key"] for each in published["keys"]]
        altered = request.body.replace(ADS.encode(), b"all-mail")
        assert altered != request.body
        assert signed_by(key, request)
        assert not signed_by(key, request, altered)
        assert Webhook(self.secret).verify(request.body, request.headers) == request.json
        with pytest.raises(WebhookVerificationError):
            Webhook(self.secret).verify(altered, request.headers)


@pytest.fixture
def year(tmp_path):
    """A year that begins today."""
    with contextlib.ExitStack() as kept:
        stage = Stage()
        kept.callback(stage.end)
        made = Year(tmp_path, stage, kept.enter_context)
        kept.callback(made.operator.client.close)
        yield made


def test_the_whole_cycle(page, year):
    """Link, accepted in French, permit; the sweep says due, a year passes: deny, expired; each webhook verifies.

    Whom the webhook names gets a new link; renewed in English: permit; withdrawn by the withdraw link: deny.
    """
    operator = year.operator
    page.set_viewport_size({"width": 390, "height": 844})
    first = operator.link(WHO, ADS, lang="fr")
    page.goto(first)
    assert operator.decision(WHO) == (False, "no_consent")
    press(page, ADS, "accept")
    assert "Accord en vigueur jusqu’au" in page.inner_text("main")
    assert operator.decision(WHO) == (True, "consent_in_force")
    consent = year.told("granted")["consent"]

    year.day(306)
    due = year.flagged("due")
    assert (due["consent"], due["notice"], due["state"]) == (consent, "P60D", "in_force")
    events = year.told("granted", "renewal_due")
    assert (events["consent"], events["notice"]) == (consent, "P60D")
    assert operator.decision(WHO) == (True, "consent_in_force")
    page.goto(first)
    assert "Ce lien ne permet plus de répondre." in page.inner_text("main")
    assert page.locator("button").count() == 1  # to withdraw: as easy as it was to give

    year.day(366)
    assert operator.decision(WHO) == (False, "consent_expired")
    expired = year.flagged("expired")
    assert (expired["consent"], expired["state"]) == (consent, "expired")
    events = year.told("granted", "renewal_due", "expired")
    assert operator.history(consent) == ["granted", "expired"]
    assert page.goto(first).status in {404, 410}  # ended; 404 once the hourly job has removed it

    page.goto(operator.link(events["subject"]["id"], ADS, lang="en"))
    assert "Your consent is no longer in force." in page.inner_text("main")
    press(page, ADS, "accept")
    assert "Consent in force until" in page.inner_text("main")
    assert operator.decision(WHO) == (True, "consent_in_force")
    renewed = year.told("granted", "renewal_due", "expired", "granted")["consent"]
    assert renewed != consent

    year.day(367)
    page.goto(operator.link(WHO, ADS, kind="withdraw", lang="en"))
    press(page, ADS, "withdraw")
    assert "You withdrew your consent on" in page.inner_text("main")
    assert operator.decision(WHO) == (False, "consent_withdrawn")
    assert year.told("granted", "renewal_due", "expired", "granted", "withdrawn")["consent"] == renewed
