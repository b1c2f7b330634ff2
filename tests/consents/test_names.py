"""Several names of one person lead to one ledger: a decision by one name is one decision for all of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise, product

import pytest

from app.auth.callers import Scope
from tests.faults.service import eventually, wait_for_lease
from tests.support.api import refused, running, subject
from tests.support.consent_page import Person, link
from tests.support.consents import grant
from tests.support.databases import new_database, rows
from tests.support.people import people
from tests.support.pools import rebuilt


def _link(api, one, other, basis="user_proved"):
    return api.call("POST", "/v1/subjects/links", {"from": subject(one), "to": subject(other), "basis": basis})


def _unlink(api, one, other):
    return api.call("POST", "/v1/subjects/links", {"from": subject(one), "to": subject(other), "linked": False})


@pytest.mark.parametrize("more", [{}, {"linked": True}, {"linked": False, "basis": "user_proved"}, {"basis": None}])
def test_how_it_is_known_is_said_of_linked_names_alone(api, more):
    """A link without its basis is a 422 that names `basis`, and so is the end of a link with one."""
    body = {"from": subject("ali"), "to": subject("alice"), **more}
    answer = api.call("POST", "/v1/subjects/links", body)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["basis"])


def test_a_name_is_taken_away_by_who_records_consents(api, alice, ali):
    """Only a caller with `consents:write` for all processings may take a name away."""
    api.link_names(ali, alice)
    others = [each.value for each in Scope if each is not Scope.CONSENTS_WRITE]
    assert refused(_unlink(api.with_key(api.new_key(*others)), ali, alice)) == (403, "scope-missing")
    limited = api.with_key(api.new_key("consents:write", processings=["ads"]))
    assert refused(_unlink(limited, ali, alice)) == (403, "processing-not-allowed")
    assert _unlink(api, ali, alice).json().keys() == {"effective_at"}


def _person(api, first, *others):
    for each in others:
        api.link_names(each, first)


def _history(api, consent):
    return api.ok("GET", f"/v1/consents/{consent}/history")["items"]


def _reasons(api, *names, about="ads"):
    return [api.reason(name, about) for name in names]


def _ago(**times):
    return (datetime.now(UTC) - timedelta(**times)).isoformat()


@pytest.fixture(scope="module")
def api(shared):
    """A service with two processings that rest on consent, of which each test uses names of its own."""
    shared.register("ads")
    shared.register("stats", purpose="statistics")
    return shared


@pytest.mark.parametrize("said_by", range(3), ids=["alice", "ali", "al"])
def test_a_withdrawal_by_any_name_is_one_event(api, shared_database, said_by):
    """A withdrawal by any name of a person ends their consent for every name, in one event, and no other person's."""
    *names, bob = people("alice", "ali", "al", "bob")
    _person(api, *names)
    consent = api.decide(names[0], "ads")["id"]
    api.decide(bob, "ads")
    assert _reasons(api, *names) == ["consent_in_force"] * 3
    withdrawn = "SELECT id FROM consent_event WHERE kind = 'withdrawn'"
    before = rows(shared_database, withdrawn)
    answer = api.withdraw(names[said_by], "ads")
    assert (answer["withdrawn"], answer["matched"]) == ([consent], True)
    assert _reasons(api, *names, bob) == ["consent_withdrawn"] * 3 + ["consent_in_force"]
    assert len(rows(shared_database, withdrawn)) == len(before) + 1


def test_without_a_link_nobody_elses_consent_ends(api, alice, ali):
    """Control: two names without a link are two persons, and a withdrawal by the wrong one matches none."""
    api.decide(alice, "ads")
    answer = api.withdraw(ali, "ads")
    assert (answer["withdrawn"], answer["matched"]) == ([], False)
    assert _reasons(api, alice, ali) == ["consent_in_force", "consent_withdrawn"]


def test_a_name_that_has_an_account_has_it_closed(api, shared_database, alice, ali):
    """A link closes the name's own account with its consents and tells receivers; the person's consents stand."""
    mine, theirs = (api.decide(name, "ads")["id"] for name in (ali, alice))
    stated = api.link_names(ali, alice)
    assert (stated["ended"], stated["closed"]) == ([mine], True)
    assert _history(api, mine)[-1]["kind"] == "closed"
    closed = "SELECT data->>'consent', data->>'cause' FROM outbox WHERE type = 'fr.sceau.consent.closed'"
    assert [each for each in rows(shared_database, closed) if each[0] in {mine, theirs}] == [(mine, "account_closed")]
    assert _reasons(api, ali, alice) == ["consent_in_force"] * 2
    assert api.ok("POST", "/v1/consents/search", {"subject": subject(ali)})["items"][0]["id"] == theirs


def test_an_account_begins_where_the_person_has_none(api):
    """A name may be linked to a person who never decided; the grants of its own account do not carry over."""
    alice, ali, new = people("alice", "ali", "new")
    api.decide(ali, "ads")
    assert api.link_names(ali, alice)["closed"] is True
    assert _reasons(api, ali, alice) == ["no_consent"] * 2
    api.decide(alice, "ads")
    assert _reasons(api, ali, alice) == ["consent_in_force"] * 2
    stated = api.link_names(new, alice)
    assert (stated["ended"], stated["closed"]) == ([], False)


@pytest.mark.parametrize("no", ["refused", "withdrawn"])
def test_what_a_name_said_comes_over_as_what_it_was(api, no, alice, ali):
    """A refusal by a linked name carries over as a refusal, and a withdrawal as a withdrawal."""
    api.decide(alice, "ads")
    if no == "refused":
        api.decide(ali, "ads", "refused")
    else:
        api.withdraw(ali, "ads")
    api.link_names(ali, alice)
    assert _reasons(api, ali, alice) == [f"consent_{no}"] * 2


def test_all_names_of_the_account_that_is_closed_come_over(api):
    """A link between two persons unites all their names: a withdrawal by one name ends the consent of all."""
    alice, ali, al, alicia = people("alice", "ali", "al", "alicia")
    _person(api, ali, al)
    _person(api, alice, alicia)
    api.decide(alicia, "ads")
    api.link_names(al, alice)
    assert _reasons(api, ali, al, alice, alicia) == ["consent_in_force"] * 4
    api.withdraw(ali)
    assert _reasons(api, ali, al, alice, alicia) == ["consent_withdrawn"] * 4


@pytest.mark.parametrize(
    ("no", "ended"),
    [
        ({"identifier": "ads", "received_at": _ago(days=30)}, ["ads"]),
        ({"identifier": None, "received_at": _ago(days=30)}, ["ads", "stats"]),
        ({"identifier": None, "received_at": _ago(days=90)}, []),
    ],
    ids=["of one", "of all", "of before"],
)
def test_a_no_by_a_name_ends_the_older_yes_of_the_person(api, no, ended, alice, ali):
    """A link ends each of the person's consents that is older than a withdrawal by the name."""
    consents = {about: api.decide(alice, about, collected_at=_ago(days=60))["id"] for about in ("ads", "stats")}
    api.withdraw(ali, **no)
    stated = api.link_names(ali, alice)
    assert sorted(stated["ended"]) == sorted(consents[each] for each in ended)
    for about in consents:
        assert api.reason(alice, about) == ("consent_withdrawn" if about in ended else "consent_in_force")


@pytest.mark.parametrize("linked_first", [True, False], ids=["linked first", "linked afterwards"])
def test_a_yes_that_arrives_late_does_not_outlive_a_no(api, linked_first, alice, ali):
    """A consent that is recorded last does not permit if it is older than a withdrawal by the person's other name."""
    if linked_first:
        api.link_names(ali, alice)
    api.withdraw(ali, "ads", received_at=_ago(days=30))
    if not linked_first:
        api.link_names(ali, alice)
    api.decide(alice, "ads", collected_at=_ago(days=60))
    assert api.reason(alice, "ads") == "consent_withdrawn"
    api.decide(alice, "ads")
    assert _reasons(api, alice, ali) == ["consent_in_force"] * 2


@pytest.mark.parametrize("before", ["an account", "no account", "another person"])
def test_a_no_of_before_the_link_that_arrives_late_is_recorded(api, before, alice, ali):
    """A late withdrawal by a linked name ends an older consent, unless the name was then another person's."""
    if before != "no account":
        api.decide(ali, "ads")
    if before == "another person":
        api.ok("POST", "/v1/subjects/closures", {"subject": subject(ali)})
    api.link_names(ali, alice)
    api.decide(alice, "ads", collected_at=_ago(days=60))
    late = {"subject": subject(ali), "processing": "ads", "received_at": _ago(days=30)}
    answer = api.call("POST", "/v1/withdrawals", late)
    if before == "another person":
        assert refused(answer) == (422, "collection-time")
        assert api.reason(alice, "ads") == "consent_in_force"
    else:
        assert answer.status_code == 200
        assert api.reason(alice, "ads") == "consent_withdrawn"


@pytest.mark.parametrize(
    ("mine", "theirs", "reason"),
    [
        ("under_15", None, "consent_invalid"),
        ("under_15", "minor_15_plus", "consent_invalid"),
        ("adult", "minor_15_plus", "consent_in_force"),
        (None, None, "consent_in_force"),
    ],
)
def test_the_younger_of_two_ages_is_the_persons(api, mine, theirs, reason):
    """A person who is under fifteen by one of two linked names cannot consent alone by either."""
    kid, kiddo = people("kid", "kiddo")
    for name, band in ((kid, mine), (kiddo, theirs)):
        if band is not None:
            api.state_age(name, band)
    api.decide(kiddo, "ads")
    api.link_names(kid, kiddo)
    assert _reasons(api, kid, kiddo) == [reason] * 2


def test_stating_it_again_answers_what_stands(api, alice, ali):
    """A link that is stated again, in either order and with another basis, answers the first id and ends nothing."""
    api.decide(alice, "ads")
    first = api.link_names(ali, alice)
    for one, other in ((ali, alice), (alice, ali)):
        again = _link(api, one, other, "provider_account").json()
        assert again == {**first, "ended": [], "closed": False}
    assert _reasons(api, alice, ali) == ["consent_in_force"] * 2


def test_a_name_is_not_linked_with_itself(api):
    """A link between two spellings of one address is a 422."""
    answer = _link(api, "alice@exemple.example", "ALICE@Exemple.example")
    assert refused(answer) == (422, "same-subject")


@pytest.fixture(scope="module")
def fifty(api):
    """The fifty names of a person; before the last one was linked, a person with two was refused, who is kept too."""
    alice, bob, bobby = people("alice", "bob", "bobby")
    names = [alice, *(f"{alice}-{number}" for number in range(49))]
    _person(api, *names[:-1])
    _person(api, bob, bobby)
    consent = api.decide(bob, "ads")["id"]
    answer = _link(api, bob, alice)
    api.link_names(names[-1], alice)
    return names, answer, consent


def test_a_person_has_fifty_names_at_most(api, fifty, bob):
    """A person has fifty names at most; a link that would exceed them is refused and closes nothing."""
    (alice, *_), answer, consent = fifty
    assert refused(answer) == refused(_link(api, bob, alice)) == (409, "too-many-names")
    assert api.ok("GET", f"/v1/consents/{consent}")["state"] == "in_force"


@pytest.mark.parametrize("path", ["consents", "withdrawals"])
def test_fifty_names_of_one_person_are_recorded_in_one_batch(api, path, fifty):
    """One batch with an item for each of a person's fifty names records all of them."""
    items = [grant(each, "ads") if path == "consents" else {"subject": subject(each)} for each in fifty[0]]
    answered = api.ok("POST", f"/v1/{path}/batch", {"items": items})["items"]
    assert {each["status"] for each in answered} == {201 if path == "consents" else 200}
    assert len({each["answer"]["id"] for each in answered}) == 50


def test_a_name_that_is_taken_away_has_decided_nothing(api, alice, ali):
    """A name that is taken away has no decision, takes no older grant, and leaves the person's consent in force."""
    _person(api, alice, ali)
    api.decide(ali, "ads")
    first = _unlink(api, ali, alice)
    assert first.status_code == 200
    assert _unlink(api, ali, alice).json() == first.json()
    assert _reasons(api, alice, ali) == ["consent_in_force", "no_consent"]
    late = api.call("POST", "/v1/consents", grant(ali, "ads", at=datetime.now(UTC) - timedelta(minutes=5)))
    assert refused(late) == (422, "collection-time")
    api.withdraw(ali)
    assert _reasons(api, alice, ali) == ["consent_in_force", "consent_withdrawn"]


def test_the_first_name_can_be_taken_away_too(api, alice, ali):
    """A person's first name can be taken away; an only name, or a link that does not exist, cannot."""
    _person(api, alice, ali)
    api.decide(alice, "ads")
    assert _unlink(api, alice, ali).status_code == 200
    assert _reasons(api, alice, ali) == ["no_consent", "consent_in_force"]
    for one, other in ((ali, ali), (ali, alice), ("nobody", ali), (ali, "nobody")):
        assert refused(_unlink(api, one, other)) == (404, "not-found")
    assert _reasons(api, ali) == ["consent_in_force"]


def test_a_link_of_the_page_ends_with_the_name_that_it_was_made_for(api, alice, ali):
    """The page link of a name that is taken away ends; one that was made for the other name still works."""
    _person(api, alice, ali)
    pages = {name: Person(api, link(api, name, "ads")) for name in (alice, ali)}
    assert pages[ali].open().buttons == {"ads": ["accept", "refuse"]}
    form = pages[ali].open().filled("accept", "ads")
    _unlink(api, ali, alice)
    assert pages[ali].open().status == 410
    assert pages[ali].send(form).status == 410
    assert pages[alice].open().buttons == {"ads": ["accept", "refuse"]}
    assert _reasons(api, alice, ali) == ["no_consent"] * 2


@pytest.mark.parametrize("leaves", ["closures", "erasures"])
def test_all_names_of_a_person_leave_together(api, leaves, alice, ali):
    """A closure or erasure by one name covers all names, whose next holders are separate persons without decisions."""
    _person(api, alice, ali)
    consent = api.decide(ali, "ads")["id"]
    assert api.ok("POST", f"/v1/subjects/{leaves}", {"subject": subject(alice)})["closed"] == [consent]
    assert _reasons(api, alice, ali) == ["no_consent"] * 2
    api.decide(ali, "ads")
    assert api.withdraw(alice)["withdrawn"] == []
    assert api.reason(ali, "ads") == "consent_in_force"


OF_BOB = ("subject_vault", "subject_locator WHERE ended_at IS NULL", "idempotency WHERE body IS NOT NULL")
"""What has a row for the one person who was not erased."""


def test_an_erasure_destroys_every_name(database):
    """An erasure by any name of an open or closed person leaves no name, no kept answer and no row that joins names."""
    with running(database) as api:
        api.register("ads")
        api.call("POST", "/v1/consents", grant("bob", "ads"), {"Idempotency-Key": "kept-bob"})
        for number, (closed, by) in enumerate(product([False, True], range(3)), 1):
            names = alice, ali, al = people("alice", "ali", "al")
            for name in (al, ali):
                api.call("POST", "/v1/consents", grant(name, "ads"), {"Idempotency-Key": f"kept-{name}"})
                if name == al:
                    api.ok("POST", "/v1/subjects/closures", {"subject": subject(name)})
            _person(api, *names)
            if closed:
                api.ok("POST", "/v1/subjects/closures", {"subject": subject(alice)})
            api.ok("POST", "/v1/subjects/erasures", {"subject": subject(names[by])})
            for kept in OF_BOB:
                assert rows(database, f"SELECT count(*) FROM {kept}") == [(1,)], (kept, closed, by)
            of_nobody = "subject_ref NOT IN (SELECT subject_ref FROM consent_event)"
            stubs = rows(database, f"SELECT count(*) FROM subject_locator WHERE {of_nobody}")
            assert stubs == [(3 * number,)], (closed, by)  # each erased name by itself: nothing joins them
        assert _reasons(api, "bob") == ["consent_in_force"]


def test_an_erasure_leaves_the_next_holder_of_another_name(clocked, clock):
    """The next holder of an erased person's other name is asked for no more, and is handed nothing of before."""
    clocked.register("ads")
    _person(clocked, "zoe", "yves")
    before = clock.at
    clocked.ok("POST", "/v1/subjects/closures", {"subject": subject("zoe")})
    for _ in range(2):
        clock.at += timedelta(minutes=1)
        clocked.decide("zoe", "ads")
    lately = clock.at - timedelta(seconds=30)
    assert clocked.call("POST", "/v1/consents", grant("zoe", "ads", at=lately)).status_code == 201
    clocked.ok("POST", "/v1/subjects/erasures", {"subject": subject("yves")})
    taken = [clocked.call("POST", "/v1/consents", grant("zoe", "ads", at=at)).status_code for at in (lately, before)]
    assert taken == [201, 422]
    assert _reasons(clocked, "zoe", "yves") == ["consent_in_force", "no_consent"]


@pytest.mark.parametrize("had_account", [False, True])
def test_an_erasure_leaves_the_person_whose_name_it_was(api, alice, ali, had_account):
    """The erasure of a name that was taken away leaves the person's consent in force, and so does the reverse."""
    al, carol = people("al", "carol")
    if had_account:  # the name that is taken away had an account with another name of the person
        api.decide(ali, "ads")
        _person(api, ali, al)
    _person(api, alice, ali)
    api.decide(alice, "ads")
    _unlink(api, ali, alice)
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject(ali)})
    assert _reasons(api, alice, ali) == ["consent_in_force", "no_consent"]
    _person(api, alice, carol)
    _unlink(api, carol, alice)
    api.decide(carol, "ads")
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject(alice)})
    assert _reasons(api, alice, carol) == ["no_consent", "consent_in_force"]


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_another_worker_forgets_each_name(cache):
    """What one worker links, unlinks or withdraws by one name, another forgets under every name of the person."""
    with new_database() as database, running(database, cache=cache) as one, running(database, cache=cache) as two:
        one.agreed("ads", "alice", "ali")
        for each in (one, two):
            if cache == "leased":
                wait_for_lease(each)
            assert _reasons(each, "alice", "ali") == ["consent_in_force"] * 2
        one.withdraw("ali")
        one.withdraw("ali")
        one.link_names("ali", "alice")
        assert _reasons(two, "alice", "ali") == ["consent_withdrawn"] * 2
        two.decide("ali", "ads")
        eventually(lambda: _reasons(one, "alice", "ali") == ["consent_in_force"] * 2)
        _unlink(two, "ali", "alice")
        assert _reasons(one, "alice", "ali") == ["consent_in_force", "no_consent"]
        two.withdraw("alice")
        assert _reasons(one, "alice", "ali") == ["consent_withdrawn", "no_consent"]


def _at_once(*calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("known", range(3))
def test_two_links_at_once_are_one(api, known):
    """Two links at once between two names, in opposite orders, are answered with one id."""
    for _ in range(8):
        names = people("alice", "ali")
        for name in names[:known]:
            api.decide(name, "ads")
        made = _at_once(partial(_link, api, *names), partial(_link, api, *reversed(names)))
        assert [each.status_code for each in made] == [201, 201]
        assert made[0].json()["id"] == made[1].json()["id"]
        api.withdraw(names[0])
        assert _reasons(api, *names) == ["consent_withdrawn"] * 2


def test_a_chain_of_links_at_once_is_one_person(api):
    """A chain of links at once makes one person, and one withdrawal then ends all their consents."""
    for _ in range(6):
        names = people("a", "b", "c", "d")
        for name in names:
            api.decide(name, "ads")
        made = _at_once(*(partial(_link, api, *pair) for pair in pairwise(names)))
        assert [each.status_code for each in made] == [201] * 3
        api.withdraw(names[0], "ads")
        assert _reasons(api, *names) == ["consent_withdrawn"] * 4


def test_a_grant_beside_a_link_is_closed_or_the_persons(api):
    """A grant beside a link ends with the name's old account, or stands for both names."""
    for _ in range(12):
        names = one, _ = people("ali", "alice")
        api.withdraw(one, "stats")
        granted, stated = _at_once(
            partial(api.call, "POST", "/v1/consents", grant(one, "ads")), partial(api.link_names, *names)
        )
        if granted.status_code == 201 and granted.json()["id"] not in stated["ended"]:
            assert _reasons(api, *names) == ["consent_in_force"] * 2
        else:  # it was closed, or came too late for the account that it was collected for
            assert granted.status_code == 201 or refused(granted) == (422, "collection-time")
            assert _reasons(api, *names) == ["no_consent"] * 2


def test_an_erasure_beside_a_link_leaves_nobody_half_linked(api):
    """After an erasure and a link at once, both names get one answer, and a withdrawal by one ends it for both."""
    for _ in range(12):
        names = one, other = people("ali", "alice")
        for name in names:
            api.decide(name, "ads")
        erase = partial(api.ok, "POST", "/v1/subjects/erasures", {"subject": subject(one)})
        _at_once(erase, partial(api.link_names, *names))
        after = _reasons(api, *names)
        assert after in (["no_consent"] * 2, ["consent_in_force"] * 2)
        api.withdraw(other)
        assert "consent_in_force" not in _reasons(api, *names)


def test_withdrawals_by_two_names_at_once_are_all_recorded(api, alice, ali):
    """Sixteen withdrawals at once by two names of one person are all recorded."""
    _person(api, alice, ali)
    api.decide(alice, "ads")
    answers = _at_once(*(partial(api.withdraw, name) for name in (alice, ali) * 8))
    assert len({each["id"] for each in answers}) == 16
    assert _reasons(api, alice, ali) == ["consent_withdrawn"] * 2


def test_the_projection_is_what_the_ledgers_say(api, shared_database):
    """After links and removals, a rebuild finds nothing that differs."""
    alice, ali, al = people("alice", "ali", "al")
    for name in (alice, ali, al):
        api.decide(name, "ads", collected_at=_ago(days=60))
    api.withdraw(al, "ads", received_at=_ago(days=30))
    _person(api, alice, ali, al)
    _unlink(api, ali, alice)
    assert rebuilt(shared_database, repair=False)[1] == 0
