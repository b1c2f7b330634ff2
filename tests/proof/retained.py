"""A deployment in which people spoke long ago, and the commands of retention."""

from tests.support.api import running, subject
from tests.support.commands import run_command

OLD = "2019-03-01T10:00:00Z"


def owned(log, *words):
    """Run a command of retention that must succeed; what it says."""
    done = run_command(log.database, "retention", *words, database_owner_url=log.database.owner_url)
    assert done[0] == 0, done
    return done[2]


def event_kinds(log, *names):
    """The kinds of the events of each of these people, as exports tell them."""
    with running(log.database) as api:
        exports = [api.ok("POST", "/v1/subjects/exports", {"subject": subject(name)}) for name in names]
        return [[each["kind"] for each in person["events"]] for person in exports]


def sign(log, *words):
    """Put the schedule in force."""
    return owned(log, "sign", "--by", "DPO", *words)


def signed_run(log):
    """Put the schedule in force and run it; what the run says."""
    sign(log)
    return owned(log, "run")
