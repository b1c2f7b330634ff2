import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest

from app.audit.decision_log import DecisionLog, correspondence_ref
from app.db.session import decision_id
from app.ledger.identifiers import Pseudonyms
from tests.faults.service import eventually
from tests.proof.logs import Log
from tests.secrecy.sinks import stored
from tests.support.api import question, running, subject
from tests.support.databases import administrator_url, new_database
from tests.support.decision_rows import REFUSED, add, but, logged_rows, segment_of
from tests.support.decision_rows import logged as logged_at
from tests.support.people import people


def logged(api, number=1, **wanted):
    """The decisions that match, once there are so many of them."""
    for _ in range(100):
        items = api.ok("POST", "/v1/decisions/search", wanted)["items"]
        if len(items) >= number:
            return items
        time.sleep(0.05)
    return api.ok("POST", "/v1/decisions/search", wanted)["items"]


@pytest.fixture(scope="module", params=["leased", "strict"])
def logging_api(shared_database, request):
    """The application with its log, deciding from memory or not; each test uses names of its own."""
    with running(shared_database, cache=request.param) as called:
        yield called


@pytest.fixture
def ads(logging_api):
    """A processing of one test's own."""
    [name] = people("ads")
    logging_api.register(name)
    return name


@pytest.fixture(scope="module")
def durable():
    """The application that answers no permit before it is in the log, and its database."""
    with new_database() as database, running(database, decision_log="durable") as api:
        api.register("ads")
        yield api, database


def test_every_decision_under_iv_is_found_by_the_id_that_its_answer_carried(logging_api, ads, alice, bob):
    """Permits and denials under IV are logged with what they rest on."""
    consent = logging_api.decide(alice, ads)
    permit = logging_api.evaluate(alice, ads, elements=["content"])
    deny = logging_api.evaluate(bob, ads)
    (record,) = logged(logging_api, id=permit["context"]["id"])
    assert (record["decision"], record["reason"], record["rule"]) == (True, "consent_in_force", "19")
    assert (record["consent"], record["elements"]) == (consent["id"], ["content"])
    (record,) = logged(logging_api, id=deny["context"]["id"])
    assert (record["decision"], record["reason"]) == (False, "no_consent")
    for other in ("0" * 8, "f" * 8):
        nothing = logging_api.ok("POST", "/v1/decisions/search", {"id": f"{other}-ffff-7fff-bfff-ffffffffffff"})
        assert nothing["items"] == []


def test_a_batch_is_logged_item_by_item_up_to_where_it_stopped(logging_api, ads):
    """What was truncated was not answered, and is not logged."""
    alice, bob, carol = people("alice", "bob", "carol")
    items = [{"subject": subject(name)} for name in (alice, bob, carol)]
    body = {**question("x", ads), "evaluations": items, "options": {"evaluations_semantic": "deny_on_first_deny"}}
    answers = logging_api.ok("POST", "/access/v1/evaluations", body)["evaluations"]
    (record,) = logged(logging_api, processing=ads)
    assert [record["id"]] == [each["context"]["id"] for each in answers]


def test_decisions_are_searched_by_subject_outcome_and_time(logging_api, ads, alice, bob):
    """Each filter narrows the list, newest first, page by page."""
    logging_api.decide(alice, ads)
    for name in (alice, bob, alice):
        logging_api.evaluate(name, ads)
    assert len(logged(logging_api, 3, processing=ads)) == 3
    of_alice = logged(logging_api, 2, subject=subject(alice.upper()))
    assert [each["decision"] for each in of_alice] == [True, True]
    assert of_alice[0]["at"] > of_alice[1]["at"]
    assert len(logged(logging_api, processing=ads, decision=False)) == 1
    assert logging_api.ok("POST", "/v1/decisions/search", {"since": "2100-01-01T00:00:00Z"})["items"] == []
    first = logging_api.ok("POST", "/v1/decisions/search", {"processing": ads, "page": {"limit": 2}})
    further = {"processing": ads, "page": {"limit": 2, "cursor": first["next_cursor"]}}
    rest = logging_api.ok("POST", "/v1/decisions/search", further)
    assert (len(first["items"]), len(rest["items"]), "next_cursor" in rest) == (2, 1, False)


MESSAGE = {"type": "correspondence", "id": "handle"}


def test_no_row_joins_two_people(logging_api, ads, shared_database):
    """Questions about one message stand under one reference for one person, and under another for each other one."""
    alice, bob, stranger = people("alice", "bob", "stranger")
    for name in (alice, bob):
        logging_api.decide(name, ads)
    for name in (alice, alice, bob, stranger, stranger):
        logging_api.evaluate(name, ads)
    assert len(logged(logging_api, 5, processing=ads)) == 5
    of_each: dict[bytes, list[bytes]] = {}
    for each in logged_rows(shared_database):
        if each.facts.shape.processing == ads:
            of_each.setdefault(each.correspondence_ref, []).append(each.subject_ref)
    assert sorted(map(len, of_each.values())) == [1, 1, 1, 2]
    assert all(len(set(refs)) == 1 for refs in of_each.values())


def test_a_reference_is_of_one_person_and_one_day():
    """Another person, day, type or id: another reference; the same again: the same one."""
    opaque = Pseudonyms(b"k" * 32).opaque
    row = (b"a" * 32, 20_000, "mail", "handle")
    others = [(b"b" * 32, *row[1:]), (row[0], 20_001, *row[2:]), (*row[:2], "chat", "handle"), (*row[:3], "h")]
    assert correspondence_ref(opaque, *row) == correspondence_ref(opaque, *row)
    assert len({correspondence_ref(opaque, *each) for each in (row, *others)}) == 5


def test_a_correspondence_is_searched_among_one_persons_decisions(logging_api, ads):
    """With its subject it finds that person's decisions about it, and of somebody unknown nothing."""
    alice, bob, eve = people("alice", "bob", "eve")
    for name in (alice, bob):
        logging_api.decide(name, ads)
        logging_api.evaluate(name, ads)
    of_alice = logged(logging_api, subject=subject(alice))
    assert logged(logging_api, subject=subject(alice), correspondence=MESSAGE) == of_alice
    search = ("POST", "/v1/decisions/search")
    for name, other in (
        (alice, {**MESSAGE, "id": "another"}),
        (alice, {**MESSAGE, "type": "chat"}),
        (eve, MESSAGE),
    ):
        assert logging_api.ok(*search, {"subject": subject(name), "correspondence": other})["items"] == []


def test_a_correspondence_without_a_subject_is_refused(logging_api):
    """Else one key would find everybody who was asked about for one message: 422 names `subject`."""
    refused = logging_api.call("POST", "/v1/decisions/search", {"correspondence": MESSAGE})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "subject")


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_of_the_exempt_permits_a_share_is_logged(database, share, number):
    """Permits under III are sampled evenly; everything else is logged."""
    with running(database, decision_log_exempt_share=share) as api:
        api.register("spam", purpose="malware_detection")
        api.register("ads")
        for _ in range(4):
            assert api.reason("alice", "spam") == "exempt"
        api.evaluate("alice", "ads")
        assert len(logged(api, processing="ads")) == 1
        assert len(api.ok("POST", "/v1/decisions/search", {"processing": "spam"})["items"]) == number


def test_a_durable_permit_is_in_the_log_when_it_is_answered(durable):
    """With SCEAU_DECISION_LOG=durable a permit under IV is committed to the log before its answer."""
    api, database = durable
    api.decide("alice", "ads")
    for _ in range(5):
        identifier = api.evaluate("alice", "ads")["context"]["id"]
        assert [each.facts.shape.permitted for each in logged_rows(database) if str(each.id) == identifier] == [True]


@pytest.mark.parametrize(
    "fault",
    ["ALTER TABLE decision_segment RENAME TO put_away", "ALTER TABLE decision_segment ADD CHECK (rows < 0) NOT VALID"],
    ids=["failing", "refused"],
)
def test_a_durable_permit_that_cannot_be_logged_is_no_answer(database, fault):
    """It is 503 and counts for IV alone, neither as answered nor as dropped; denials and III are answered as ever."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        api.register("spam", purpose="malware_detection")
        api.decide("alice", "ads")
        assert api.evaluate("alice", "ads")["decision"] is True
        assert api.evaluate("alice", "spam")["decision"] is True
        with psycopg.connect(database.owner_url, autocommit=True) as connection:
            connection.execute(fault)
            answer = api.call("POST", "/access/v1/evaluation", question("alice", "ads"))
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            assert api.reason("bob", "ads") == "no_consent"
            body = {**question("alice", "ads"), "evaluations": [{}, {"action": question("alice", "spam")["action"]}]}
            answers = api.ok("POST", "/access/v1/evaluations", body)["evaluations"]
            assert [each["decision"] for each in answers] == [False, True]
        assert _counted(api) == {"consent_in_force": 1, "exempt": 2, "III": 0, "IV": 2}
        assert _log_of(api).counts.dropped <= 1, "the denial"


def _counted(api):
    """How many permits were answered, by reason, and how many questions were not, by paragraph."""
    metrics = api.call("GET", "/metrics").text.splitlines()
    permits = {each: f'sceau_decisions_total{{decision="permit",reason="{each}"}}' for each in _PERMITS}
    unanswered = {each: f'sceau_unanswered_total{{article="{each}"}}' for each in ("III", "IV")}
    wanted = {**permits, **unanswered}
    return {each: sum(float(line.split()[-1]) for line in metrics if line.startswith(wanted[each])) for each in wanted}


_PERMITS = ("consent_in_force", "exempt")


def test_a_name_in_a_segment_would_be_seen(database):
    """Control: what looks for names in the tables (tests/secrecy) looks into segments too."""
    marked = but(REFUSED, processing="marked-subject")
    add(database, segment_of([logged_at(datetime.now(UTC), marked)]))
    with psycopg.connect(database.owner_url) as connection:
        kept = stored(connection)["table decision_segment_" + f"{datetime.now(UTC):%Y%m%d}"]
    assert kept.count(b"marked-subject") >= 1
    assert b"marked-subject" not in segment_of([logged_at(datetime.now(UTC), marked)]).data


def test_old_days_are_dropped_and_today_never(database):
    """Partitions older than the retention go; the functions refuse to touch today or to make a far day's."""
    old = datetime.now(UTC).date() - timedelta(days=30)
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("UPDATE owner_limit SET log_floor_days = 20")
        name = f"decision_segment_{old:%Y%m%d}"
        connection.execute(
            f"CREATE TABLE {name} PARTITION OF decision_segment"
            f" FOR VALUES FROM ('{old}') TO ('{old + timedelta(days=1)}')"
        )
        with running(database, decision_log_retention=timedelta(days=29)):
            pass
        assert connection.execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,)
        today = f"decision_segment_{datetime.now(UTC):%Y%m%d}"
        assert connection.execute("SELECT to_regclass(%s)", [today]).fetchone() == (today,)
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("SELECT sceau_drop_log_before(current_date + 1)")
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("SELECT sceau_make_log_partition(current_date + 30)")


def test_a_log_that_is_off_writes_nothing(database):
    """With SCEAU_DECISION_LOG=off no row is written."""
    with running(database, decision_log="off") as api:
        api.register("ads")
        api.evaluate("alice", "ads")
    assert logged_rows(database) == []


def _services(api):
    return api.client.app.state.services


def _log_of(api):
    return _services(api).recorder.log


def _entry(at):
    return (at, decision_id(at), 7, b"\1" * 32, ("correspondence", "handle"), REFUSED)


def test_a_row_that_the_database_refuses_holds_up_no_other(api):
    """A row of a day without a partition is dropped and counted, and what comes after it is written."""
    api.register("ads")
    log = _log_of(api)
    log.append(_entry(datetime.now(UTC).timestamp() + 30 * 86_400))
    eventually(lambda: log.counts.dropped == 1)
    identifier = api.evaluate("alice", "ads")["context"]["id"]
    assert [each["id"] for each in logged(api, id=identifier)] == [identifier]


def test_a_missing_day_is_made(database):
    """When the clock has jumped to a day without a partition, permits are answered, and nothing is dropped."""
    with running(database, decision_log="durable") as api:
        api.agreed("ads", "alice")
        with psycopg.connect(database.owner_url, autocommit=True) as owner:
            for days in (0, 1):
                owner.execute(f"DROP TABLE decision_segment_{datetime.now(UTC) + timedelta(days=days):%Y%m%d}")
        ids = {api.evaluate(name, "ads")["context"]["id"] for name in ("bob", "alice")}
        eventually(lambda: {str(each.id) for each in logged_rows(database)} == ids)
        assert _log_of(api).counts.dropped == 0


def test_a_fault_of_the_log_itself_ends_no_logging(api, database, monkeypatch):
    """Whatever goes wrong with one segment, what is decided later is logged, and the loss is counted."""
    api.register("ads")
    log, write = _log_of(api), DecisionLog._write

    async def fails(self, connection, flush):
        monkeypatch.setattr(DecisionLog, "_write", write)
        raise ZeroDivisionError

    monkeypatch.setattr(DecisionLog, "_write", fails)
    api.evaluate("alice", "ads")
    eventually(lambda: log.counts.dropped == 1)
    identifier = api.evaluate("alice", "ads")["context"]["id"]
    eventually(lambda: log.counts.written == 1)
    assert [str(each.id) for each in logged_rows(database)] == [identifier]


def test_how_many_were_dropped_is_written_once(database):
    """What found the queue full is told to the database with the next rows, each time what came since."""
    with running(database) as api:
        api.register("ads")
        log = _log_of(api)
        for number in (3, 2):
            log.counts.dropped += number
            api.evaluate("alice", "ads")
            eventually(lambda: len(log) == 0 and log.counts.written)
            eventually(partial(_has_dropped, database, number))
        api.evaluate("alice", "ads")
        eventually(lambda: log.counts.written == 3)
    assert _dropped(database) == [3, 2]


def test_what_was_dropped_until_a_process_ended_is_told_once(database, monkeypatch, tmp_path):
    """A later process with its directory tells it; if that COMMIT is not answered, the next one changes nothing."""
    with running(database, state_directory=tmp_path) as api:
        api.agreed("ads", "alice")
        _log_of(api).counts.dropped += 3
    write = DecisionLog._write
    for status in (503, 200):
        with running(database, state_directory=tmp_path, decision_log="durable") as api:
            if status != 200:
                monkeypatch.setattr(DecisionLog, "_write", _unanswered(write))
            answer = api.call("POST", "/access/v1/evaluation", question("alice", "ads"))
            assert answer.status_code == status
            monkeypatch.setattr(DecisionLog, "_write", write)
    assert (_dropped(database), list(tmp_path.glob("dropped-*"))) == ([3], [])


def _unanswered(write):
    """What writes a segment, and does not hear that it was committed."""

    async def commits(log, connection, flush):
        await write(log, connection, flush)
        raise psycopg.OperationalError

    return commits


def _has_dropped(database, number):
    return _dropped(database)[-1:] == [number]


def _dropped(database):
    with psycopg.connect(database.owner_url) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM decision_drop ORDER BY at").fetchall()]


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_a_durable_permit_waits_no_longer_than_a_lease(database, cache):
    """While somebody locks the log, a permit under IV is 503 before the flush itself has failed."""
    with running(database, decision_log="durable", cache=cache, lease=timedelta(seconds=2)) as api:
        api.agreed("ads", "alice")
        assert api.evaluate("alice", "ads")["decision"] is True
        with psycopg.connect(database.owner_url) as holder:
            holder.execute("LOCK TABLE decision_segment IN SHARE MODE")
            answer = api.call("POST", "/access/v1/evaluation", question("alice", "ads"))
            assert (answer.status_code, "recorded" in answer.text) == (503, False), "whether it was recorded is unknown"
            assert _log_of(api).counts.failed_flushes == 0


def test_a_durable_permit_that_was_overtaken_is_not_answered(durable, monkeypatch):
    """A withdrawal that is answered while a permit's row is committed: the permit is neither sent nor counted."""
    api, database = durable
    with running(database, cache="strict") as other:
        api.decide("bob", "ads")
        assert api.evaluate("bob", "ads")["decision"] is True
        log = _log_of(api)
        commit = log.commit

        async def overtaken(rows):
            await commit(rows)
            await asyncio.to_thread(other.withdraw, "bob")

        monkeypatch.setitem(vars(log), "commit", overtaken)
        before = _counted(api)
        assert api.reason("bob", "ads") == "consent_withdrawn"
        assert _counted(api) == before


def test_a_durable_permit_whose_record_was_dropped_is_logged_once(durable, monkeypatch):
    """Old news that drop a record while a permit's row is committed change nothing: it is read again, and answered."""
    api, _ = durable
    api.decide("carol", "ads")
    eventually(_services(api).memory.replica.lease.held)
    log, commits = _log_of(api), []
    commit = log.commit

    async def with_old_news(rows):
        commits.append(len(rows))
        await commit(rows)
        _services(api).memory.replica.subjects.drop_all()

    monkeypatch.setitem(vars(log), "commit", with_old_news)
    assert api.evaluate("carol", "ads")["decision"] is True
    assert commits == [1]


def test_a_durable_permit_that_ended_while_it_waited_is_not_answered(database):
    """A permit whose time is over when its row is committed is 503."""
    with running(database, decision_log="durable", cache="strict") as api:
        api.agreed("ads", "alice")
        log, known = _log_of(api), _services(api).known
        commit = log.commit

        async def for_long(rows):
            await commit(rows)
            known._ahead += 366 * 86_400

        vars(log)["commit"] = for_long
        assert api.call("POST", "/access/v1/evaluation", question("alice", "ads")).status_code == 503


def test_a_durable_batch_is_committed_together(database):
    """The permits of one request wait for their rows once, not one after the other."""
    with running(database, decision_log="durable", cache="strict") as api:
        api.register("ads")
        names = ("alice", "bob", "carol")
        for name in names:
            api.decide(name, "ads")
        log, commits = _log_of(api), []
        commit = log.commit

        async def counted(rows):
            commits.append(len(rows))
            await commit(rows)

        vars(log)["commit"] = counted
        body = {**question("x", "ads"), "evaluations": [{"subject": subject(name)} for name in names]}
        answers = api.ok("POST", "/access/v1/evaluations", body)["evaluations"]
        assert [each["decision"] for each in answers] == [True] * 3
        assert commits == [3]


def test_turning_over_holds_up_nobody(database):
    """A day is made beside writes under way and before they end; an old one is dropped later, and a start goes on."""
    old = datetime.now(UTC).date() - timedelta(days=30)
    with (
        psycopg.connect(database.owner_url) as owner,
        psycopg.connect(database.owner_url) as writer,
        psycopg.connect(database.app_url, options="-c lock_timeout=100ms") as maker,
    ):
        owner.execute("UPDATE owner_limit SET log_floor_days = 20")
        owner.execute(
            f"CREATE TABLE decision_segment_{old:%Y%m%d} PARTITION OF decision_segment"
            f" FOR VALUES FROM ('{old}') TO ('{old + timedelta(days=1)}')"
        )
        owner.commit()
        write = "LOCK TABLE decision_segment IN ROW EXCLUSIVE MODE"  # as a worker's INSERT does
        writer.execute(write)
        maker.execute("SELECT sceau_make_log_partition(current_date + 3)")  # not committed
        with psycopg.connect(database.owner_url, options="-c lock_timeout=100ms") as another:
            another.execute(write)
        maker.commit()
        keep = timedelta(days=29)
        with running(database, decision_log_retention=keep) as api:  # beside the write under way
            assert api.call("GET", "/readyz").status_code == 200
        dropping = "SELECT sceau_drop_log_before(current_date - 29)"
        assert maker.execute(dropping).fetchone() == (0,)
        maker.commit()
        writer.rollback()

        def gone():
            # The service's own attempt may still hold the day, or drop it first.
            maker.execute(dropping)
            maker.commit()
            return maker.execute("SELECT to_regclass(%s)", (f"decision_segment_{old:%Y%m%d}",)).fetchone() == (None,)

        assert eventually(gone)


def test_a_day_that_another_makes_meanwhile_is_found(database):
    """Two processes that start at once: the second one waits for the first, and finds the partition made."""
    with psycopg.connect(database.app_url) as first, psycopg.connect(database.app_url) as second:
        first.execute("SELECT sceau_make_log_partition(current_date + 4)")
        with ThreadPoolExecutor(1) as pool, psycopg.connect(database.app_url) as looking:
            call = pool.submit(second.execute, "SELECT sceau_make_log_partition(current_date + 4)")
            waits = "SELECT pid FROM pg_locks WHERE NOT granted AND pid = %s"
            eventually(lambda: looking.execute(waits, [second.info.backend_pid]).fetchall())
            first.commit()
            call.result()
        made = "SELECT to_regclass('decision_segment_' || to_char(current_date + 4, 'YYYYMMDD')) IS NOT NULL"
        assert second.execute(made).fetchone() == (True,)


def test_of_somebody_unknown_nothing_is_found(database):
    """Of whom nothing is recorded stands under no reference: a search or an export by a name finds nobody else's."""
    with running(database, decision_log="durable", decision_log_exempt_share=1.0) as api:
        api.register("ads")
        api.register("spam", purpose="malware_detection")
        for name in ("bob", "carol"):
            api.reason(name, "ads")
            api.reason(name, "spam")
        eventually(lambda: len(logged_rows(database)) == 4)
        for name in ("bob", "nobody-ever-heard-of"):
            assert api.ok("POST", "/v1/decisions/search", {"subject": subject(name)})["items"] == []
            body = api.ok("POST", "/v1/subjects/exports", {"subject": subject(name)})
            assert body["decisions_by_day"] == []


def _written_once(api, database, monkeypatch, first):
    """Whether a decision is logged, once, when the first write goes as told, with the real one and its connection."""
    write = DecisionLog._write

    async def first_write(self, connection, flush):
        monkeypatch.setattr(DecisionLog, "_write", write)
        await first(partial(write, self, connection, flush), connection)

    monkeypatch.setattr(DecisionLog, "_write", first_write)
    identifier = api.evaluate("alice", "ads")["context"]["id"]
    eventually(lambda: _log_of(api).counts.written == 1)
    return [str(each.id) for each in logged_rows(database)] == [identifier]


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_commit_without_an_answer_is_not_repeated(database, monkeypatch, tmp_path, is_merged):
    """Where a COMMIT was not answered the flush is sent again and taken once, whether merged meanwhile or not."""
    monkeypatch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-1))
    proof = Log(database, tmp_path)
    with running(database) as api:
        api.register("ads")

        async def unanswered(write, _):
            await write()
            if is_merged:
                await asyncio.to_thread(proof.close)
            raise psycopg.OperationalError

        assert _written_once(api, database, monkeypatch, unanswered)


def test_a_commit_that_never_was_is_repeated(api, database, monkeypatch):
    """Control: where the transaction was rolled back, the segment is written by the next try."""

    async def broken(write, connection):
        async with connection.transaction(force_rollback=True):
            await write()
        raise psycopg.OperationalError

    api.register("ads")
    assert _written_once(api, database, monkeypatch, broken)


def test_writers_that_are_gone_are_forgotten(database):
    """A worker of last week leaves no row; one that writes has one, however often it wrote."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("INSERT INTO decision_writer VALUES (gen_random_uuid(), 1, now() - interval '8 days')")
        with running(database, decision_log="durable") as api:
            api.agreed("ads", "alice")
            for _ in range(3):
                api.evaluate("alice", "ads")
        assert owner.execute("SELECT flushed FROM decision_writer").fetchall() == [(3,)]


def test_a_stop_goes_on_trying(database):
    """What waits when the service is told to stop is written though the log's connection breaks then."""
    with running(database) as api, psycopg.connect(administrator_url(database.name), autocommit=True) as other:
        api.register("ads")
        log = _log_of(api)
        api.evaluate("alice", "ads")
        eventually(lambda: log.counts.written == 1)
        identifier = api.evaluate("alice", "ads")["context"]["id"]
        of_the_log = "datname = current_database() AND query LIKE '%decision_segment%' AND pid <> pg_backend_pid()"
        other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {of_the_log}")
    assert identifier in [str(each.id) for each in logged_rows(database)]
