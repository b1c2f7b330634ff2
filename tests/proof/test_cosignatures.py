"""Cosignatures of witnesses: handed in, checked before they are kept, served with the checkpoint, and bundled."""

import pytest

from app.proof.verifier.notes import Checkpoint, Note
from tests.proof.logs import GOOD, INCOMPLETE, WRONG, ended, lines_of, lived_in, rewritten
from tests.proof.witness import SEEN_AT, Witness
from tests.support.api import running
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def witness():
    """A witness that the deployment knows."""
    return Witness("witness.example/w1")


@pytest.fixture(scope="module")
def log(tmp_path_factory, witness):
    """A deployment that knows a witness."""
    with new_database() as database:
        made = lived_in(database, tmp_path_factory.mktemp("log"))
        yield made


def _handed_in(log, note, *witnesses):
    (log.place / "cosigned").write_text(note)
    named = [word for each in witnesses for word in ("--witness", each)]
    status, refused, output = log.sceau("proof", "stamp", "--cosigned", log.place / "cosigned", *named)
    return status, refused or output


def _refused(log, witness):
    """Hand in a cosignature that must be refused; the refusal."""
    head = log.head()
    parsed = Checkpoint.parse(Note.parse(head).text)
    other = head.replace(f"\n{parsed.size}\n", f"\n{parsed.size - 1}\n")
    return {
        "nobody has cosigned it": (head, "no witness that was named has cosigned it"),
        "a stranger has": (Witness("stranger.example").cosigned(head), "no witness that was named"),
        "a stranger of the same name": (Witness(witness.key.name).cosigned(head), "no witness that was named"),
        "another time": (witness.cosigned(head, stated=SEEN_AT + 1), "the signature of witness.example/w1 is wrong"),
        "another head": (witness.cosigned(other), "is wrong"),
        "no note": ("text", "this is no signed note"),
    }


def test_what_is_no_cosignature_of_a_known_witness_is_refused(log, witness):
    """A cosignature by an unknown key, or of another head or time, is not kept, and a line says why."""
    for note, says in _refused(log, witness).values():
        assert ended(_handed_in(log, note, witness.key), WRONG, says)
    assert log.value("SELECT count(*) FROM proof_anchor") == 0
    with running(log.database) as api:
        assert api.with_key(None).call("GET", "/proof/v1/checkpoint?cosigned=true").status_code == 404
    assert log.sceau("proof", "stamp", "--cosigned", log.place / "missing", "--witness", witness.key)[0] == 2


LOGS_OWN = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


@pytest.mark.parametrize(
    ("named", "says"),
    [((), "name each witness once"), (("witness.example",), "no verifier key"), ((LOGS_OWN,), "tlog-cosignature")],
    ids=["nobody", "no key", "a log's key"],
)
def test_a_witness_is_named_by_its_key(log, witness, named, says):
    """Handing in a cosignature needs the key of a witness: without one, or with another kind, the exit status is 2."""
    status, output = _handed_in(log, witness.cosigned(log.head()), *named)
    assert (status, says in " ".join(output.split())) == (2, True), output
    assert ended(_handed_in(log, witness.cosigned(log.head()), witness.key, witness.key), 2, "once")


def test_a_head_that_this_log_does_not_have_is_refused(log, witness):
    """A head that the log's key signed, but that differs from the log's at that size (a fork), is refused."""
    note = log.head()
    root = Note.parse(note).text.split("\n")[2]
    log.superuser(f"UPDATE proof_checkpoint SET note = replace(note, '{root}', '{'A' * 43}=')")
    told = _handed_in(log, witness.cosigned(note), witness.key)
    log.superuser(f"UPDATE proof_checkpoint SET note = replace(note, '{'A' * 43}=', '{root}')")
    assert ended(told, WRONG, "this log has signed no such checkpoint of")


def test_a_cosignature_is_kept_served_and_bundled(log, witness):
    """A kept cosignature is in the served checkpoint, the log and bundles, which it anchors by the witness's key."""
    note = log.head()
    cosigned = witness.cosigned(note)
    assert _handed_in(log, cosigned, witness.key) == (0, "Kept: witness.example/w1.\n")
    assert _handed_in(log, cosigned, witness.key) == (0, "Its cosignatures were kept before.\n")
    with running(log.database) as api:
        assert api.with_key(None).call("GET", "/proof/v1/checkpoint").text == cosigned
    assert "entries appended" in log.append()
    with running(log.database) as api:
        stranger = api.with_key(None)
        assert "witness" not in stranger.call("GET", "/proof/v1/checkpoint").text
        assert stranger.call("GET", "/proof/v1/checkpoint?cosigned=true").text == cosigned
    bundle = log.bundle("--anchored")
    size = len(lines_of(bundle))
    status, output = log.verify(bundle, witness=str(witness.key))
    line = f"witness witness.example/w1: the first {size} entries were there at 2026-09-21T14:13:20Z"
    assert (status, line in output, "NOT CHECKED" in output) == (GOOD, True, False), output
    assert ended(log.verify(bundle), INCOMPLETE, "cosignatures of witness.example/w1: give its key with --key")
    stated = log.bundle(name="whole.zip")
    assert [line for line in lines_of(stated) if '"kind":"anchor"' in line["entry"]]
    assert log.verify(stated, witness=str(witness.key))[0] == INCOMPLETE
    (log.place / "head").write_text(cosigned)
    told = log.verify(log.place / "head", witness=str(witness.key))
    assert ended(told, GOOD, "witness witness.example/w1 saw it at 2026-09-21T14:13:20Z")


def test_a_cosignature_in_a_bundle_that_is_wrong_is_named(log, witness, tmp_path):
    """A cosignature in a bundle is not accepted with a changed time, or by another key under a witness's name."""
    bundle, note = log.bundle("--anchored"), log.value("SELECT note FROM proof_checkpoint ORDER BY size LIMIT 1")
    name = f"data/cosigned/{len(lines_of(bundle))}.checkpoint"
    for forged, wanted, says in (
        (witness.cosigned(note, stated=SEEN_AT - 1), WRONG, "the signature of witness.example/w1 is wrong"),
        (Witness(witness.key.name).cosigned(note), WRONG, "cosignatures of witness.example/w1"),
    ):
        changes = {name: lambda _, content=forged: content.encode()}
        changed = rewritten(bundle, tmp_path / "forged.zip", changes, manifest=True)
        status, output = log.verify(changed, witness=str(witness.key))
        assert (status, says in output, "the first" in output) == (wanted, True, False), output
