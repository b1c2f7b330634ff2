"""Receipts and the open log over HTTP: a person's receipt verifies offline, and one that was changed does not."""

import base64
import json
import re
import runpy
import sys
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import OKPKey

from app.keyring import signed_jws
from app.operations.proof.receipts import TYPE
from app.proof.notes import Signer
from app.proof.tree import WIDTH, root_at, subtree_of
from app.proof.verifier.notes import VerifierKey, opened
from tests.proof.logs import INCOMPLETE, UNREADABLE, WRONG, Log, ended
from tests.support.api import running, subject
from tests.support.consents import hash_of, notice_of
from tests.support.databases import new_database
from tests.support.invalidations import invalidate
from tests.support.people import people


@pytest.fixture
def own(database, tmp_path):
    """A service for one test, with a consent that is not in the log yet: its API, its log, and the consent's id."""
    with running(database) as api:
        api.register("ads")
        yield api, Log(database, tmp_path), api.decide("alice", "ads")["id"]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service and its log, to which tests only add."""
    with new_database() as database, running(database) as api:
        api.register("ads")
        yield api, Log(database, tmp_path_factory.mktemp("log"))


@pytest.fixture
def consented(service):
    """The shared service with a new consent that is not in the log yet: also the person and the consent's id."""
    api, log = service
    [alice] = people("alice")
    return api, log, alice, api.decide(alice, "ads")["id"]


@pytest.fixture(scope="module")
def settled(service):
    """The shared service with a consent in the log, for tests that only read it and write their own receipts."""
    api, log = service
    consent = api.decide("alice", "ads")["id"]
    log.append()
    return api, log, consent


def _receipt(api, log, identifier):
    answer = api.call("GET", f"/v1/consents/{identifier}/receipt")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt"), answer.text
    file = log.place / "receipt.jwt"
    file.write_text(answer.text)
    return file


def test_a_receipt_is_proved_once_its_consent_is_in_the_log(consented):
    """A receipt says that its consent is not in the log yet, and once it is, verifies with the published keys alone."""
    api, log, alice, consent = consented
    answer = api.call("GET", f"/v1/consents/{consent}/proof")
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "15")
    assert ended(log.verified(_receipt(api, log, consent)), INCOMPLETE, "it was not there yet")
    log.append()
    assert api.call("GET", f"/v1/consents/{consent}/proof").json()["proof"].startswith("c2sp.org/tlog-proof@v1\nindex ")
    status, output = log.verified(_receipt(api, log, consent))
    assert (status, "the entry stands in the log" in output, "WRONG" in output) == (INCOMPLETE, True, False)
    assert output.count("NOT CHECKED") == 2  # what the register said, and whether the consent still stands
    assert alice not in (log.place / "receipt.jwt").read_text()


def test_a_receipt_verifies_a_year_later_with_the_verifier_file_alone(settled, monkeypatch, capsys):
    """A receipt verifies a year later without Sceau and without a network."""
    api, log, consent = settled
    receipt, script = _receipt(api, log, consent), log.place / "verify.py"
    keys = [part for key in log.key().split("\n") for part in ("--key", key)]
    today = log.alone(receipt, *keys)
    assert (today.returncode, "the entry stands in the log" in today.stdout) == (INCOMPLETE, True), today.stderr
    monkeypatch.setattr(sys, "argv", ["verify.py", str(receipt), *keys])
    with time_machine.travel(datetime.now(UTC) + timedelta(days=366)), pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == INCOMPLETE
    assert capsys.readouterr().out.endswith(today.stdout)


def _claims(receipt):
    """What a receipt says, in a file."""
    return json.loads(base64.urlsafe_b64decode(receipt.read_text().split(".")[1] + "=="))


def _signed_anew(log, receipt, claims, name="sceau.example.fr/receipts"):
    """Sign other claims with a new key of that name, and verify them: the exit status, and what was said."""
    signer = Signer.of(name, Ed25519PrivateKey.generate())
    receipt.write_text(signed_jws(signer.private, str(signer.key), TYPE, claims))
    keys = ("--key", str(signer.key), "--key", log.key().split("\n")[0])
    status, _, output = log.sceau("proof", "verify", receipt, log.heads / "checkpoint", *keys)
    return status, output


def _changed(text, change):
    head, payload, signature = text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    change(claims)
    again = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{again}.{signature}"


def _record(claims):
    return claims["receipt"]["dpv:hasRecordOfActivity"][0]


CHANGES = {
    "another version": lambda it: _record(it)["dpv:hasProcess"].update({"dct:hasVersion": 2}),
    "another processing": lambda it: _record(it)["dpv:hasProcess"].update({"dct:identifier": "stats"}),
    "a refusal": lambda it: _record(it)["dpv:hasConsentStatus"][0].update({"@type": ["dpv:ConsentRefused"]}),
    "another consent": lambda it: _record(it).update({"dct:identifier": "a6f58318-72e6-46a2-bfd7-f36d795e30cd"}),
    "another entry": lambda claims: claims["log"].update(
        {"entry": claims["log"]["entry"].replace("consent_event", "other")}
    ),
    "another body": lambda it: it["log"].update({"body": it["log"]["body"].replace("granted", "refused")}),
    "another place": lambda claims: claims["log"].update(
        {"proof": claims["log"]["proof"].replace("index ", "index 1")}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_receipt_that_was_changed_is_named(settled, change):
    """A changed receipt has a wrong signature; one signed anew after the change differs from the log."""
    api, log, consent = settled
    receipt = _receipt(api, log, consent)
    text = _changed(receipt.read_text(), change)
    receipt.write_text(text)
    assert ended(log.verified(receipt), WRONG, "it was changed")
    status, output = _signed_anew(log, receipt, _claims(receipt))
    assert (status, "it was changed" in output) == (WRONG, False), output


@pytest.mark.parametrize(
    "log_says", [5, {}, {"entry": "x"}, [1], {"entry": "{}", "salt": "zz", "body": "", "proof": ""}]
)
def test_a_receipt_that_is_odd_stops_nothing(settled, log_says):
    """A receipt with odd content is refused, and the next file is still checked."""
    api, log, consent = settled
    receipt = _receipt(api, log, consent)
    assert ended(_signed_anew(log, receipt, {**_claims(receipt), "log": log_says}), UNREADABLE, "a checkpoint of")


def test_only_a_key_of_receipts_signs_receipts(settled):
    """A receipt signed by a key of the log, or of another deployment's receipts, does not verify."""
    api, log, consent = settled
    receipt = _receipt(api, log, consent)
    for name, expected in (("sceau.example.fr/ledger", 1), ("other.example/receipts", INCOMPLETE)):
        status, output = _signed_anew(log, receipt, _claims(receipt), name)
        assert (status, "the entry stands in the log, as number" in output) == (expected, False), output


def test_a_receipt_of_somebody_else_s_key_is_named(settled):
    """A receipt is wrong with an untrusted key, unchecked without a key of receipts, and unreadable in a bad form."""
    api, log, consent = settled
    receipt = _receipt(api, log, consent)
    other = str(Signer.of("sceau.example.fr/receipts", Ed25519PrivateKey.generate()).key)
    status, _, output = log.sceau("proof", "verify", receipt, "--key", other)
    assert (status, "a key that is not trusted" in output) == (1, True)
    status, _, output = log.sceau("proof", "verify", receipt, "--key", log.key().split("\n")[0])
    assert (status, "NOT CHECKED: no key of receipts was given" in output) == (INCOMPLETE, True)
    for text in ("eyJ", "eyJhIjoxfQ.eyJhIjoxfQ.AA", receipt.read_text().replace(".", "", 1)):
        receipt.write_text(text)
        assert log.verified(receipt)[0] == UNREADABLE


def test_a_receipt_tells_what_a_person_is_to_know(consented):
    """The records of a grant and of a withdrawal have each field that the guide wants, and do not name the person."""
    api, log, alice, consent = consented
    log.append()
    api.withdraw(alice, "ads")
    answer = api.call("GET", f"/v1/consents/{consent}/receipt", headers={"Accept": "application/ld+json"})
    assert answer.headers["content-type"] == "application/ld+json"
    body = answer.json()
    assert body["@type"] == "dpv:ConsentReceipt"
    assert {"dct:conformsTo", "dpv:hasIdentifier", "dct:created"} <= body.keys()
    record = body["dpv:hasRecordOfActivity"][0]
    must = {"dct:conformsTo", "dct:identifier", "dpv:hasDataSubject", "dpv:hasNotice", "dpv:hasDataController"}
    assert must | {"dpv:hasProcess", "dpv:hasConsentControl", "dpv:hasRight", "dpv:hasConsentStatus"} <= record.keys()
    process = record["dpv:hasProcess"]
    assert {"dpv:hasPurpose", "dpv:hasPersonalData", "dpv:hasRecipient", "dpv:hasStorageCondition"} <= process.keys()
    assert process["dpv:hasPurpose"] == "dpv:Advertising"
    where = {each["@type"][1].partition(":")[2]: each["dpv:isExercisedAt"] for each in record["dpv:hasRight"]}
    assert where["A77"] == ["https://www.cnil.fr/fr/plaintes"]  # a complaint goes past the controller
    assert "https://www.cnil.fr/fr/plaintes" not in where["A15"]
    assert record["dpv:hasDataController"][0]["dpv:hasName"] == "Exemple SAS"
    statuses = [each["@type"][0] for each in record["dpv:hasConsentStatus"]]
    assert statuses == ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]
    assert alice not in answer.text


CHILD = {"age_band": "under_15"}
ENDS = {
    "renewed": (lambda api, who, about: api.decide(who, about), "dpv:RenewedConsentGiven"),
    "refused": (lambda api, who, about: api.decide(who, about, "refused"), "dpv:ConsentRefused"),
    "withdrawn": (lambda api, who, _: api.withdraw(who), "dpv:ConsentWithdrawn"),
    "closed": (lambda api, who, _: api.close(who), "dpv:ConsentExpired"),
    "invalidated": (lambda api, _, about: invalidate(api, about), "dpv:ConsentInvalidated"),
}
GIVERS = {
    "self": ["dpv:DataSubject"],
    "holder_of_parental_responsibility": ["dpv:ParentOfDataSubject"],
    "both": ["dpv:DataSubject", "dpv:ParentOfDataSubject"],
    "administrator": ["dpv:Entity"],
}
"""Terms of DPV 2.2 (https://w3id.org/dpv/2.2/dpv): its consent statuses, and its entities."""


def _statuses(api, consent):
    """The statuses in a receipt."""
    receipt = api.ok("GET", f"/v1/consents/{consent}/receipt", headers={"Accept": "application/ld+json"})
    return _record({"receipt": receipt})["dpv:hasConsentStatus"]


@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS.keys())
def test_a_receipt_tells_what_ended_a_consent(service, end, status):
    """Each way to end one has a status of the vocabulary; a grant that ends a refusal is no renewal."""
    api, _ = service
    zoe, theo, ads = people("zoe", "theo", "ads")
    api.register(ads)
    consent = api.decide(zoe, ads)["id"]
    assert len(_statuses(api, consent)) == 1
    end(api, zoe, ads)
    assert _statuses(api, consent)[1]["@type"] == [status]
    refusal = api.decide(theo, ads, "refused")["id"]
    api.decide(theo, ads)
    assert [each["@type"][0] for each in _statuses(api, refusal)] == ["dpv:ConsentRefused", "dpv:ConsentGiven"]


@pytest.mark.parametrize(("giver", "entities"), GIVERS.items(), ids=GIVERS.keys())
def test_a_receipt_names_who_gave_the_consent(service, giver, entities, zoe):
    """A receipt names an administrator who gave a consent, and does not call it the person's own act."""
    api, _ = service
    consent = api.decide(zoe, "ads", capacity={**CHILD, "given_by": giver})["id"]
    assert _statuses(api, consent)[0]["dpv:isIndicatedBy"] == entities


def test_whoever_reads_a_proof_or_a_receipt_is_on_the_trail(consented):
    """Reading a proof or a receipt is in the audit trail with caller, consent and processing; a 202 is not."""
    api, log, _, consent = consented
    wanted = {"acts": ["consent.history_read"], "object": {"type": "consent", "id": consent}}
    api.call("GET", f"/v1/consents/{consent}/proof")
    assert api.ok("POST", "/v1/audit-trail/search", wanted)["items"] == []
    log.append()
    for what in ("proof", "receipt"):
        api.call("GET", f"/v1/consents/{consent}/{what}")
    acts = api.ok("POST", "/v1/audit-trail/search", wanted)["items"]
    assert [each["detail"] for each in acts] == [{"processing": "ads"}] * 2


def test_a_receipt_that_is_used_after_a_withdrawal_is_named(consented, bob):
    """A receipt of a consent withdrawn since is named beside a later bundle, with the entry that ended the consent."""
    api, log, alice, consent = consented
    api.decide(bob, "ads")
    log.append()
    receipt = _receipt(api, log, consent)
    before = log.bundle(name="before.zip")
    api.withdraw(bob, "ads")
    api.withdraw(alice)
    log.append()
    after = log.bundle(name="after.zip")
    assert log.verified(receipt, before)[0] == INCOMPLETE
    assert ended(log.verified(receipt, after), WRONG, "does not stand any more: it ended by entry", ": withdrawn")


@pytest.mark.parametrize("named", ["version", "text"])
def test_a_receipt_that_is_used_after_an_invalidation_is_named(service, named):
    """A receipt of a consent invalidated since is named beside a later bundle, with the entry that invalidated it."""
    api, log = service
    alice, ads = people("alice", "ads")
    api.register(ads)
    consent = api.decide(alice, ads)["id"]
    struck = {"version": 1} if named == "version" else {"text": hash_of(notice_of(ads)["fr"])}
    log.append()
    receipt = _receipt(api, log, consent)
    invalidate(api, ads, text=hash_of(notice_of(ads)["en"]))
    log.append()
    assert log.verified(receipt, log.bundle(name=f"before-{ads}.zip"))[0] == INCOMPLETE
    invalidate(api, ads, **struck)
    log.append()
    after = log.verified(receipt, log.bundle(name=f"after-{ads}.zip"))
    assert ended(after, WRONG, f"(invalidation {ads}/2): invalidated")


def test_whoever_may_not_see_a_consent_gets_neither_proof_nor_receipt(settled):
    """A caller of another processing gets a 404, one without the scope a 403, one without a key a 401."""
    api, _, consent = settled
    elsewhere = api.with_key(api.new_key("consents:read", processings=["stats"]))
    for what in ("proof", "receipt"):
        path = f"/v1/consents/{consent}/{what}"
        assert elsewhere.call("GET", path).status_code == 404
        assert api.with_key(api.new_key("register:read")).call("GET", path).status_code == 403
        assert api.with_key(None).call("GET", path).status_code == 401
        unknown = path.replace(consent, "a6f58318-72e6-46a2-bfd7-f36d795e30cd")
        assert api.call("GET", unknown).status_code == 404


def test_everybody_can_read_the_keys(settled):
    """The keys of the log and of receipts are served without an API key, as the command prints them."""
    api, log, _ = settled
    answer = api.with_key(None).call("GET", "/proof/v1/keys")
    assert (answer.status_code, answer.text) == (200, log.key() + "\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert [line.partition("+")[0].rpartition("/")[2] for line in answer.text.splitlines()] == ["ledger", "receipts"]


def test_everybody_can_read_the_head_and_the_tree_of_the_log(own):
    """The signed head and the tiles that make its root are served without a key, and no tile beyond the head is."""
    api, log, _ = own
    everybody = api.with_key(None)
    assert everybody.call("GET", "/proof/v1/checkpoint").status_code == 404
    log.append()
    answer = everybody.call("GET", "/proof/v1/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    head = opened(answer.text, [VerifierKey.parse(log.key().split("\n")[0])])
    assert 0 < head.size < WIDTH
    tile = everybody.call("GET", f"/proof/v1/tile/0/000.p/{head.size}")
    assert (tile.status_code, tile.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert root_at(head.size, subtree_of(lambda *_: tile.content)) == head.root
    for wrong in ("0/000", f"0/000.p/{head.size + 1}", "0/001", "1/000.p/1", "64/000", "0/000.p/0"):
        assert everybody.call("GET", f"/proof/v1/tile/{wrong}").status_code == 404, wrong
    assert everybody.call("GET", "/proof/v1/tile/x").status_code == 422


def test_erasing_a_person_leaves_no_receipt_that_names_it(consented):
    """After an erasure the proof of the consent still verifies, and nothing in it leads to the person."""
    api, log, alice, consent = consented
    log.append()
    before = _receipt(api, log, consent).read_text()
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject(alice)})
    log.append()
    (log.place / "receipt.jwt").write_text(before)
    assert ended(log.verified(log.place / "receipt.jwt"), INCOMPLETE)
    assert ended(log.verify(log.bundle(name="erased.zip"), key=log.key().split("\n")[0]), INCOMPLETE)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ("Reçu : ", "Accord donné le", "Enregistré le", "contenu des messages", "Déposer une réclamation")),
        ("en", ("Receipt: ", "Consent given on", "Recorded on", "content of messages", "Lodge a complaint")),
    ],
)
def test_a_receipt_is_a_document_too(settled, language, words):
    """A receipt as a page stands alone in either language, names no person, and holds the signed receipt as a file."""
    api, log, consent = settled
    headers = {"Accept": "text/html", "Accept-Language": language}
    answer = api.call("GET", f"/v1/consents/{consent}/receipt", headers=headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"].startswith("text/html")
    text = answer.text.replace("\N{NO-BREAK SPACE}", " ")
    assert [each for each in words if each not in text] == []
    assert ("alice" in text, '<link rel="stylesheet"' in text) == (False, False)
    ((jws, name),) = re.findall(r'href="data:application/jwt,([^"]+)" download="([^"]+)"', text)
    assert (name.endswith(f"{consent}.jwt"), text.count(jws)) == (True, 1)  # not printed as well
    assert 'href="https://sceau.example.fr"' in text  # where people read how to withdraw
    (log.place / "receipt.jwt").write_text(jws)
    assert ended(log.verified(log.place / "receipt.jwt"), INCOMPLETE, "the entry stands in the log")


def test_the_receipt_of_the_first_act_of_a_joint_consent_tells_of_no_renewal(service):
    """The first act of a joint consent is not called a renewal; a second joint consent is."""
    api, _ = service
    [kim] = people("kim")
    sides = ("self", "holder_of_parental_responsibility")
    first, second = [api.decide(kim, "ads", capacity={**CHILD, "given_by": side})["id"] for side in sides]
    assert [each["@type"][0] for each in _statuses(api, first)] == ["dpv:ConsentGiven"]
    api.decide(kim, "ads", capacity={**CHILD, "given_by": "both"})
    assert [each["@type"][0] for each in _statuses(api, second)] == ["dpv:ConsentGiven", "dpv:RenewedConsentGiven"]


def test_a_receipt_of_a_joint_consent_tells_that_the_other_act_was_invalidated(service):
    """A parent's receipt says that the joint consent is invalidated if the text that the child read is."""
    api, _ = service
    kid, ads = people("kid", "ads")
    api.register(ads)
    sides = (("self", "fr"), ("holder_of_parental_responsibility", "en"))
    capacities = [({"age_band": "under_15", "given_by": side}, {"language": language}) for side, language in sides]
    _, consent = [api.decide(kid, ads, capacity=who, evidence=text) for who, text in capacities]
    assert api.reason(kid, ads) == "consent_in_force"
    assert invalidate(api, ads, text=hash_of(notice_of(ads)["fr"])).status_code == 201
    assert api.reason(kid, ads) == "consent_invalid"
    statuses = [each["@type"][0] for each in _statuses(api, consent["id"])]
    assert statuses == ["dpv:ConsentGiven", "dpv:ConsentInvalidated"]


def _withdrawal(api, name, processing):
    """The id of a new withdrawal by a person, from one processing or from all."""
    about = {} if processing is None else {"processing": processing}
    return api.ok("POST", "/v1/withdrawals", {"subject": subject(name), **about})["id"]


@pytest.mark.parametrize("processing", ["ads", None], ids=["one processing", "every processing"])
def test_a_withdrawal_has_a_receipt_at_once(consented, processing):
    """A withdrawal's receipt promises an entry at once, verifies once the log has it, and can be read as a page."""
    api, log, alice, _ = consented
    withdrawal = _withdrawal(api, alice, processing)
    claims = _claims(_receipt(api, log, withdrawal))
    assert (claims["log"], claims["entered_within"]) == (None, 60)
    (record,) = claims["receipt"]["dpv:hasRecordOfActivity"]
    assert record["dpv:hasConsentStatus"][0]["@type"] == ["dpv:ConsentWithdrawn"]
    assert record.get("dpv:hasProcess", {}).get("dct:identifier") == processing
    assert [each["dpv:hasName"] for each in record["dpv:hasDataController"]] == ["Exemple SAS"]
    log.append()
    assert ended(log.verified(_receipt(api, log, withdrawal)), INCOMPLETE, "the entry stands in the log")
    html = api.call("GET", f"/v1/consents/{withdrawal}/receipt", headers={"Accept": "text/html"}).text
    assert "Accord retiré le" in html.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # as RFC 8037 names it, which others read
def test_another_library_verifies_a_receipt(settled):
    """joserfc, which shares no code with the verifier, takes a receipt for a JWS of the key that is published."""
    api, log, consent = settled
    text = _receipt(api, log, consent).read_text()
    key = VerifierKey.parse(api.with_key(None).call("GET", "/proof/v1/keys").text.splitlines()[1])
    octets = base64.urlsafe_b64encode(key.public).rstrip(b"=").decode()
    public_key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": octets})
    signed = jws.deserialize_compact(text, public_key, algorithms=["EdDSA"])
    assert (signed.headers()["kid"], json.loads(signed.payload)["iss"]) == (str(key), "https://sceau.example.fr")
    head, claims, signature = text.split(".")
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(f"{head}.{claims[:-4]}AAAA.{signature}", public_key, algorithms=["EdDSA"])
