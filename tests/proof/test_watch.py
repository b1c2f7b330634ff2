"""`sceau proof watch` over HTTP: a log that grows is good; one that goes back, forks or was rewritten is named."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from app.cli import app as command
from app.proof.notes import Signer, signed_checkpoint
from app.proof.tree import HASH_BYTES, WIDTH, TileName, grown, root_at, subtree_of
from app.proof.verifier.notes import Checkpoint
from app.proof.verifier.trees import leaf_hash
from tests.proof.logs import GOOD, WRONG, ended
from tests.support.listening import Answering, listening

NAME = "sceau.example.fr/ledger"


class Served:
    """A log served on loopback, in the way of app/api/proof.py; tests swap what it serves."""

    def __init__(self):
        self.signer = Signer.of(NAME, Ed25519PrivateKey.generate())
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.note = ""

    def hold(self, entries):
        """Serve a log of these entries."""
        self.tiles = grown(0, [leaf_hash(each) for each in entries], lambda _: b"")
        root = root_at(len(entries), subtree_of(lambda level, index: self.tiles[level, index]))
        self.note = signed_checkpoint(Checkpoint(NAME, len(entries), root), [self.signer])

    def answer(self, path):
        """What stands at a path; None for nothing."""
        if path == "checkpoint":
            return self.note.encode()
        name = TileName.parse(path.removeprefix("tile/"))
        hashes = self.tiles.get((name.level, name.index)) if name else None
        return hashes[: name.width * HASH_BYTES] if hashes and name else None


@pytest.fixture
def served():
    """A served log, and its address."""
    log = Served()

    class Handler(Answering):
        def get(self):
            content = log.answer(self.path.removeprefix("/proof/v1/"))
            self.answer(content or b"", 200 if content is not None else 404)

    with listening(Handler) as address:
        yield log, address


@pytest.fixture
def watch(served, tmp_path):
    """Watch the log once: the exit status, and what was said."""
    log, url = served

    def once(*, key=None):
        words = ["proof", "watch", url, "--key", key or str(log.signer.key), "--kept", str(tmp_path / "head")]
        done = CliRunner().invoke(command, words)
        return done.exit_code, done.output

    return once


def _entries(count, word="entry"):
    return [f"{word} {number}".encode() for number in range(count)]


@pytest.mark.parametrize(("first", "then"), [(1, 2), (3, 700), (WIDTH, WIDTH + 1), (700, 700), (255, 70_000)])
def test_a_log_that_grows_is_good(served, watch, first, then):
    """A log that grows from any size to any other begins with the kept head, and is good."""
    served[0].hold(_entries(first))
    assert ended(watch(), GOOD, "the first head")
    served[0].hold(_entries(then))
    assert ended(watch(), GOOD, f"{then - first} more than before")


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (_entries(299), "has 299 now"),
        ([b"another", *_entries(300)[1:]], "does not begin any more"),
        ([*_entries(299), b"another"], "does not begin any more"),
        ([b"another", *_entries(999)[1:]], "does not begin any more"),
    ],
)
def test_a_log_that_was_set_back_or_rewritten_is_named(served, watch, entries, problem):
    """The head of a log that was set back or rewritten is printed whole, as proof, and the kept head stays."""
    served[0].hold(_entries(300))
    watch()
    served[0].hold(entries)
    for _ in range(2):
        assert ended(watch(), WRONG, problem, served[0].note)


def test_a_tree_that_is_not_the_head_s_is_named(served, watch):
    """A signed head whose tiles are missing, short or of other entries is named."""
    served[0].hold(_entries(300))
    watch()
    served[0].hold(_entries(400))
    served[0].tiles[0, 1] = served[0].tiles[0, 1][:-HASH_BYTES] + bytes(HASH_BYTES)
    assert "not the one that its head was signed for" in watch()[1]
    served[0].tiles[0, 1] = served[0].tiles[0, 1][:-HASH_BYTES]
    assert watch() == (1, "watch: WRONG: the log serves tiles that are too short\n")
    del served[0].tiles[0, 1]
    assert watch()[0] == 2


def test_a_head_of_somebody_else_is_named(served, watch):
    """A head signed by another key than the given one is named."""
    served[0].hold(_entries(3))
    other = str(Signer.of(NAME, Ed25519PrivateKey.generate()).key)
    assert ended(watch(key=other), WRONG, served[0].note)
    served[0].note = "nothing"
    assert watch()[0] == 1


def test_what_a_server_says_reaches_a_terminal_as_text(served, watch):
    """Control characters in a server's answer are printed escaped."""
    served[0].note = "\x1b[2Jall is good\r\n"
    status, output = watch()
    assert (status, "\\x1b[2Jall is good\\x0d" in output, "\x1b" in output) == (1, True, False)


def test_a_mistake_of_the_watcher_s_own_says_nothing_of_the_log(served, watch, tmp_path):
    """A bad key, or a file without this log's head, is a mistake of the watcher: status 2, and why."""
    served[0].hold(_entries(3))
    of_receipts = str(Signer.of("sceau.example.fr/receipts", Ed25519PrivateKey.generate()).key)
    for key, why in (("nothing", "no verifier key"), (of_receipts, "give the log's")):
        assert ended(watch(key=key), 2, why)
    another = Checkpoint(NAME, 1, bytes(32))
    for checkpoint in ("nothing", signed_checkpoint(another, [Signer.of(NAME, Ed25519PrivateKey.generate())])):
        (tmp_path / "head").write_text(checkpoint)
        assert ended(watch(), 2, "which is to hold the head that was kept")


@pytest.mark.parametrize("url", ["nowhere", "http://[", "http://127.0.0.1:1"])
def test_an_address_that_is_none_is_no_answer(served, tmp_path, url):
    """An address that does not answer is reported in a line with its own status, and nothing is kept."""
    kept = tmp_path / "head"
    done = CliRunner().invoke(command, ["proof", "watch", url, "--key", str(served[0].signer.key), "--kept", str(kept)])
    assert (done.exit_code, done.output.count("\n"), kept.exists()) == (2, 1, False), done.output


def test_a_head_that_cannot_be_kept_is_told_apart_from_a_wrong_log(served, watch, tmp_path):
    """A kept head that cannot be read or written is reported without calling the log wrong."""
    served[0].hold(_entries(3))
    (tmp_path / "head").write_bytes(b"\xff\xfe")
    assert watch()[0] == 2
    (tmp_path / "head").unlink()
    (tmp_path / "head").mkdir()
    assert watch()[0] == 2
