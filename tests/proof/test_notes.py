"""Signed notes, verifier keys, checkpoints and cosignatures, against the examples of their specifications."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.proof.notes import Signer, signed_checkpoint, signed_note, tlog_proof
from app.proof.tree import inclusion_proof
from app.proof.verifier.notes import Checkpoint, Note, NoteError, VerifierKey, opened
from app.proof.verifier.trees import LogProof, leaf_hash, node_hash
from tests.proof.witness import SEEN_AT, Witness

# c2sp.org/signed-note, "Example".
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
HEAD = Checkpoint("sceau.example.fr/ledger", 2, bytes(32))


def _signer(name="sceau.example.fr/ledger"):
    return Signer.of(name, Ed25519PrivateKey.generate())


def test_the_example_of_the_specification_verifies():
    """The published key verifies the published note, and its text form comes out as it was."""
    key = VerifierKey.parse(KEY)
    assert Note.parse(NOTE).signed_by([key]) == [key]
    assert str(key) == KEY


@pytest.mark.parametrize("change", [("example message", "other message"), ("TgK7Ztg", "TgK7Zth"), ("yaQM=", "yaQA=")])
def test_a_note_that_was_changed_is_refused(change):
    """A wrong signature of a known key is an error, not an unknown signature."""
    changed = NOTE.replace(*change)
    assert changed != NOTE
    with pytest.raises(NoteError):
        Note.parse(changed).signed_by([VerifierKey.parse(KEY)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "text\n",
        "text\n\n",
        "text\n\n- example.com/foo AAAAAAA=\n",
        "text\n\n\u2014 example.com/foo AAAA\n",
        "text\n\n\u2014 example.com/foo !!!!\n",
        "te\x01xt" + NOTE[4:],
        NOTE.removesuffix("\n"),
    ],
)
def test_what_is_no_note_is_refused(text):
    """A text with a bad form, control characters or bad base64 is refused as a note."""
    with pytest.raises(NoteError):
        Note.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AQ==",
        KEY.replace("530d903a", "530d903b"),
        KEY[:-4],
        KEY.replace("+A", "+B"),
        "+" + KEY,
    ],
)
def test_what_is_no_verifier_key_is_refused(text):
    """A verifier key is refused if its id does not fit its name and key, or if the key is not Ed25519."""
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_a_checkpoint_is_opened_by_the_log_s_own_key_only():
    """A checkpoint is refused if it has another signer or origin, or no signature."""
    signer, stranger = _signer(), _signer()
    note = signed_checkpoint(HEAD, [signer])
    assert opened(note, [signer.key]) == HEAD
    assert opened(signed_checkpoint(HEAD, [stranger, signer]), [signer.key]) == HEAD
    other = Checkpoint("another.example/ledger", 2, bytes(32))
    for refused in (signed_checkpoint(HEAD, [stranger]), signed_checkpoint(other, [signer])):
        with pytest.raises(NoteError):
            opened(refused, [signer.key])


@pytest.mark.parametrize(
    "text",
    [
        "origin\n-1\n{root}\n",
        "origin\n01\n{root}\n",
        "origin\n\u0661\n{root}\n",
        "origin\n1\nAAAA\n",
        "\n1\n{root}\n",
        "origin\n1\n{root}",
        "origin\n1\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    """A checkpoint is refused without an origin, a size without leading zeroes and a root of 32 bytes."""
    with pytest.raises(NoteError):
        Checkpoint.parse(text.replace("{root}", base64.b64encode(bytes(32)).decode()))


def test_a_witness_signs_the_time_at_which_it_saw_a_checkpoint():
    """A cosignature verifies with the witness's key, and not with another time."""
    signer, witness = _signer(), Witness("witness.example/w1")
    note = signed_checkpoint(HEAD, [signer])
    assert Note.parse(witness.cosigned(note)).signed_by([signer.key, witness.key]) == [signer.key, witness.key]
    with pytest.raises(NoteError):
        Note.parse(witness.cosigned(note, stated=SEEN_AT + 1)).signed_by([witness.key])
    assert VerifierKey.parse(str(witness.key)) == witness.key


def test_a_proof_of_a_log_holds_for_its_entry_only():
    """A proof keeps its value through its text form, and fails for another entry, index or log's key."""
    leaves, signer = [leaf_hash(b"a"), leaf_hash(b"b")], _signer()
    head = Checkpoint(signer.key.name, 2, node_hash(*leaves))
    hashes = inclusion_proof(1, 2, lambda level, index: leaves[index] if level == 0 else head.root)
    proof = LogProof.parse(tlog_proof(1, hashes, signed_checkpoint(head, [signer])))
    assert proof.leads_to(leaves[1], opened(proof.checkpoint, [signer.key]))
    assert not proof.leads_to(leaves[0], head)
    with pytest.raises(NoteError):
        opened(proof.checkpoint, [_signer().key])
    with_more = tlog_proof(1, hashes, signed_checkpoint(head, [signer])).replace("index", "extra AAAA\nindex", 1)
    assert LogProof.parse(with_more) == proof
    for wrong in ("", "index 1\n", "c2sp.org/tlog-proof@v1\nindex 01\n\nx", "c2sp.org/tlog-proof@v1\nindex 1\n!\n\nx"):
        with pytest.raises(NoteError):
            LogProof.parse(wrong)


def test_a_note_has_as_many_signatures_as_are_sensible():
    """A note may have sixteen signatures and not eighty, because each has to be checked."""
    signers = [_signer(f"key{number}.example") for number in range(16)]
    assert len(Note.parse(signed_note("text\n", signers)).signatures) == len(signers)
    with pytest.raises(NoteError):
        Note.parse(signed_note("text\n", signers * 5))


@pytest.mark.parametrize(("epoch", "lines"), [(1, 3), (2, 4), (17, 4)])
def test_a_checkpoint_tells_the_epoch_of_its_database(epoch, lines):
    """A checkpoint names its database's epoch in a line after the root, and no line means the first epoch."""
    head = Checkpoint("sceau.example/log", 5, bytes(32), epoch)
    assert head.text.count("\n") == lines
    assert Checkpoint.parse(head.text) == head


@pytest.mark.parametrize("line", ["epoch ", "epoch -1", "epoch two", "epoch \u0662", "other"])
def test_a_line_that_tells_no_epoch_is_ignored(line):
    """A checkpoint with another line after its root is still a checkpoint, of the first epoch."""
    assert Checkpoint.parse(Checkpoint("sceau.example/log", 5, bytes(32)).text + line + "\n").epoch == 1
