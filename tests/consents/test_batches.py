"""Many decisions in one request: each gets the answer that it would get alone, and a refused one stops no other."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from app.api.consents import batches, groups
from app.operations.consents.ledgers import opening_of
from app.snapshot.writer import Confirmer
from tests.support.api import running, subject
from tests.support.consents import grant
from tests.support.databases import execute

CONSENTS, WITHDRAWALS = "/v1/consents/batch", "/v1/withdrawals/batch"


@pytest.fixture(scope="module")
def pip(shared_database):
    """An application with two processings of IV and one of III."""
    with running(shared_database, cache="leased") as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        api.register("spam", purpose="unsolicited_content_detection")
        yield api


def _withdrawal(name, about=None):
    return {"subject": subject(name), **({"processing": about} if about is not None else {})}


def _items(api, path, items, key=None):
    return api.ok("POST", path, {"items": items}, {"Idempotency-Key": key} if key else {})["items"]


def _told(answer):
    """An answer without its ids and times."""
    own = ("id", "subject_ref", "collected_at", "collected_on", "expires_at", "effective_at", "withdrawn")
    return {name: value for name, value in answer.items() if name not in own}


REFUSED = [
    {"subject": subject("x"), "processing": "ads"},
    {**grant("x", "ads"), "more": 1},
    {**grant("x", "ads"), "collected_at": None},
    grant("x", "nowhere"),
    grant("x", "spam"),
    grant("a@exa mple..fr", "ads"),
    {**grant("x", "ads"), "version": 9},
    "no object",
    None,
]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_each_item_is_answered_as_it_would_be_alone(pip, monkeypatch, size):
    """Each item of a batch, valid or not, gets the status and the body of a single request."""
    monkeypatch.setattr(groups, "TOGETHER", size)
    good = [grant(f"one{size}", "ads"), {**grant(f"two{size}", "stats"), "decision": "refused"}]
    items = [REFUSED[0], good[0], *REFUSED[1:5], good[1], *REFUSED[5:]]
    answers = _items(pip, CONSENTS, items)
    assert len(answers) == len(items)
    for item, one in zip(items, answers, strict=True):
        alone = pip.call("POST", "/v1/consents", item)
        assert one["status"] == alone.status_code
        if alone.status_code == 201:
            assert _told(one["answer"]) == _told(alone.json())
        else:
            assert one["problem"]["type"] == alone.json()["type"]
    reasons = [pip.reason(f"one{size}", "ads"), pip.reason(f"two{size}", "stats")]
    assert reasons == ["consent_in_force", "consent_refused"]


def test_withdrawals_of_a_batch_hold_once_it_has_answered(pip):
    """Each withdrawal of a batch ends its consent; one about an unknown processing is refused alone."""
    names = [f"many{number}" for number in range(60)]
    granted = _items(pip, CONSENTS, [grant(name, "ads") for name in names])
    answers = _items(pip, WITHDRAWALS, [_withdrawal("x", "nowhere"), *[_withdrawal(name, "ads") for name in names]])
    assert answers[0]["problem"]["type"] == "urn:sceau:problem:not-found"
    assert [each["answer"]["withdrawn"] for each in answers[1:]] == [[each["answer"]["id"]] for each in granted]
    assert {pip.reason(name, "ads") for name in names} == {"consent_withdrawn"}


def test_the_items_of_one_person_keep_their_order(pip):
    """The last of several decisions about one processing is the one that counts."""
    items = [grant("order", "ads"), {**grant("order", "ads"), "decision": "refused"}]
    _items(pip, CONSENTS, items)
    assert pip.reason("order", "ads") == "consent_refused"


def test_a_repetition_under_its_key_records_nothing_anew(pip, shared_database):
    """A batch repeated under its key gets its first answers again, and records only items that were not recorded."""
    items = [grant(f"twice{number}", "ads") for number in range(4)]
    first = _items(pip, CONSENTS, items, "batch-one")
    assert _items(pip, CONSENTS, items, "batch-one") == first
    execute(shared_database, "DELETE FROM idempotency WHERE body LIKE %s", f"%{first[2]['answer']['id']}%")
    again = _items(pip, CONSENTS, items, "batch-one")
    assert [one == other for one, other in zip(first, again, strict=True)] == [True, True, False, True]
    changed = _items(pip, CONSENTS, [*items[:3], grant("other", "ads")], "batch-one")
    assert {each["problem"]["type"] for each in changed} == {"urn:sceau:problem:idempotency-key-reused"}


def test_a_key_is_good_for_one_request(pip):
    """Nothing of another request is recorded under a key: a longer one, a single one, one about what was refused."""
    key, names = "one request", ["a", "b", "c"]
    first = [_withdrawal("x", "nowhere"), *[_withdrawal(name, "ads") for name in names]]
    assert [each["status"] for each in _items(pip, WITHDRAWALS, first, key)] == [404, 200, 200, 200]
    for others in ([_withdrawal("d", "ads"), *first[1:]], [*first, _withdrawal("e", "ads")]):
        assert {each["status"] for each in _items(pip, WITHDRAWALS, others, key)} == {422}
    assert pip.call("POST", "/v1/withdrawals", _withdrawal("f", "ads"), {"Idempotency-Key": key}).status_code == 422
    assert [each["status"] for each in _items(pip, WITHDRAWALS, first, key)] == [404, 200, 200, 200]


def test_two_requests_at_once_under_one_key_are_not_mixed(pip):
    """Of two batches sent at once under one key one is recorded, again and again, and the other refused, as a whole."""
    for turn in range(6):
        sent = [[_withdrawal(f"{turn} {which} {number}", "ads") for number in range(1 + which)] for which in (0, 1)]
        with ThreadPoolExecutor(4) as pool:
            both, again = (
                list(pool.map(lambda items, key=f"at once {turn}": _items(pip, WITHDRAWALS, items, key), sent * 2))
                for _ in range(2)
            )
        assert both == again
        statuses = [{each["status"] for each in one} for one in both]
        assert sorted(statuses, key=min) == [{200}, {200}, {422}, {422}]


@pytest.mark.parametrize("items", [[], [{}] * 1_001, "none"])
def test_a_list_that_is_none_is_refused_whole(pip, items):
    """A batch with no item, over a thousand items, or no list at all is a 422."""
    assert pip.call("POST", CONSENTS, {"items": items}).status_code == 422


def test_a_caller_s_limits_count_items(database):
    """A caller that is limited to some processings is refused per item; its quota counts items, not withdrawals."""
    with running(database, rate_limits="consents=10/60") as api:
        api.register("ads")
        api.register("stats")
        limited = api.with_key(api.new_key("consents:write", processings=["ads"]))
        answers = _items(limited, CONSENTS, [grant("a", "ads"), grant("a", "stats")])
        assert [each["status"] for each in answers] == [201, 403]
        assert limited.call("POST", CONSENTS, {"items": [grant("b", "ads")] * 20}).status_code == 200
        assert limited.call("POST", CONSENTS, {"items": [grant("b", "ads")]}).status_code == 429
        assert [each["status"] for each in _items(limited, WITHDRAWALS, [_withdrawal("a", "ads")] * 30)] == [200] * 30
        assert api.with_key(api.new_key("decisions:evaluate")).call("POST", CONSENTS, {"items": [1]}).status_code == 403


def test_batches_about_the_same_people_do_not_wait_for_each_other(pip):
    """Four batches at once about one set of people, in different orders, are all recorded."""
    names = [f"crowd{number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        sent = [names, names[::-1], names[20:] + names[:20], names[::2] + names[1::2]]
        answers = list(pool.map(lambda some: _items(pip, WITHDRAWALS, [_withdrawal(each) for each in some]), sent))
    assert {each["status"] for some in answers for each in some} == {200}


def test_a_subject_that_others_hold_leaves_the_rest(pip, shared_database):
    """While another transaction holds one subject, only its item is a 503, and the others are recorded."""
    names = [f"held{number}" for number in range(3)]
    _items(pip, CONSENTS, [grant(name, "ads") for name in names])
    with psycopg.connect(shared_database.owner_url) as owner:
        refs = {each["answer"]["subject_ref"] for each in _items(pip, CONSENTS, [grant(names[1], "ads")])}
        owner.execute("SELECT FROM subject WHERE encode(subject_ref, 'hex') = ANY(%s) FOR UPDATE", [list(refs)])
        answers = _items(pip, WITHDRAWALS, [_withdrawal(name, "ads") for name in names])
    assert [each["status"] for each in answers] == [200, 503, 200]
    assert answers[1]["problem"]["detail"].startswith("Others are writing about the same user")
    assert pip.reason(names[0], "ads") == "consent_withdrawn"


def test_the_documents_name_the_items(pip):
    """The OpenAPI document names the schema of an item, although items are checked one by one."""
    document = pip.ok("GET", "/openapi.json")
    (one,) = [document["components"]["schemas"]["ConsentBatch"]["properties"]["items"]["items"]["$ref"]]
    assert one == "#/components/schemas/NewConsent"
    assert one.rpartition("/")[2] in document["components"]["schemas"]


def test_a_group_that_takes_too_long_is_not_recorded_and_the_rest_is_left(pip, monkeypatch):
    """A group that exceeds its deadline is a 503, and so are later groups, which are not tried."""
    monkeypatch.setattr(batches, "TOGETHER", 2)
    tried = []

    async def slow(self, session, register):
        tried.append(len(self.some))
        if any(each.decision.subject.id == "stuck" for each in self.some):
            raise TimeoutError
        return await record(self, session, register)

    record = groups.Group.record
    monkeypatch.setattr(groups.Group, "record", slow)
    answers = _items(pip, WITHDRAWALS, [_withdrawal(name) for name in ("slow1", "slow2", "stuck", "slow3", "slow4")])
    assert [each["status"] for each in answers] == [200, 200, 503, 503, 503]
    assert tried == [2, 2]


def test_a_key_that_is_revoked_meanwhile_records_nothing_more(pip, monkeypatch):
    """Items of a batch that come after its key is revoked are a 401, or a 403 after its scope is taken."""
    monkeypatch.setattr(batches, "TOGETHER", 2)
    for taken, status in (("key", 401), ("scope", 403)):
        made = pip.ok("POST", "/v1/keys", {"name": "batch", "scopes": ["consents:write", "register:read"]})

        async def revoked(deployment, names, *, made=made, taken=taken, **how):
            if any("second" in name.id for name in names):
                path, body = f"/v1/keys/{made['id']}", {"scopes": ["register:read"]}
                await asyncio.to_thread(pip.call, *(("DELETE", path) if taken == "key" else ("PATCH", path, body)))
            return await opening_of(deployment, names, **how)

        monkeypatch.setattr(groups, "opening_of", revoked)
        names = [f"{each}{taken}" for each in ("first", "alsofirst", "second", "alsosecond")]
        answers = _items(pip.with_key(made["key"]), WITHDRAWALS, [_withdrawal(name) for name in names])
        assert [each["status"] for each in answers] == [200, 200, status, status]


def test_a_repeated_item_beside_a_new_one_waits_for_this_process_too(pip, shared_database, monkeypatch):
    """A repeated item beside a new one waits for this process's memory too, which a new write alone does not."""
    real, waited = Confirmer.confirm, []

    async def confirm(self, xid, committed, *, own_forgot, server):
        waited.append(own_forgot)
        await real(self, xid, committed, own_forgot=own_forgot, server=server)

    monkeypatch.setattr(Confirmer, "confirm", confirm)
    items = [_withdrawal(name, "ads") for name in ("mixed1", "mixed2")]
    second = _items(pip, WITHDRAWALS, items, "mixed")[1]["answer"]["id"]
    execute(shared_database, "DELETE FROM idempotency WHERE body LIKE %s", f"%{second}%")
    assert [each["status"] for each in _items(pip, WITHDRAWALS, items, "mixed")] == [200, 200]
    assert waited == [True, False]


def test_batches_about_linked_people_do_not_wait_for_each_other(pip):
    """Four batches at once that name linked people by different names, in different orders, are all recorded."""
    people = [(f"lone{number}", f"ltwo{number}") for number in range(8)]
    for one, other in people:
        pip.link_names(one, other)
    firsts, seconds = [one for one, _ in people], [other for _, other in people]
    with ThreadPoolExecutor(4) as pool:
        sent = [firsts, seconds[::-1], firsts[::-1], seconds]
        answers = list(pool.map(lambda some: _items(pip, WITHDRAWALS, [_withdrawal(each) for each in some]), sent))
    assert {each["status"] for some in answers for each in some} == {200}
