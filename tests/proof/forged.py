"""Bundles forged by an operator with the log's key: the list of files, the statement and its proof all fit."""

import base64
import json
from hashlib import sha256

from tests.proof.logs import file_of, lines_of, rewritten


def state(log, kind, stated):
    """Make a statement that waits to be entered."""
    log.superuser(
        f"INSERT INTO proof_statement VALUES (gen_random_uuid(), '{kind}', now(), '{json.dumps(stated)}')",
        "INSERT INTO proof_queue (kind, id) SELECT 'statement', id::text FROM proof_statement ORDER BY at DESC LIMIT 1",
    )


def later_of(bundle):
    """What came later, as a bundle tells it."""
    return json.loads(file_of(bundle, "later.json"))


def _root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _path(place, leaves, *, size=None, whole=True):
    """The proof that a leaf is in a tree; with `size`, that a tree of so many leaves (`place` + 1) is its beginning."""
    if len(leaves) == (1 if size is None else place + 1):
        return [] if whole or size is None else [_root(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if place < half:
        return [*_path(place, leaves[:half], size=size, whole=whole), _root(leaves[half:])]
    return [*_path(place - half, leaves[half:], size=size, whole=False), _root(leaves[:half])]


def forged(log, bundle, changes):
    """A forged bundle that the log states as it is, so that only its content is wrong."""
    altered = rewritten(bundle, log.place / "forged.zip", changes, manifest=True)
    listed = sha256(file_of(altered, "manifest-sha256.txt")).hexdigest()
    size = json.loads(file_of(altered, "data/log.json"))["size"]
    stated = next(line for line in later_of(bundle)["entries"] if json.loads(line["entry"])["kind"] == "bundle")
    state(log, "bundle", json.loads(stated["body"])["body"] | {"manifest_sha256": listed})
    log.append()
    whole = log.bundle(name="whole.zip")
    lines = lines_of(whole)
    leaves = [sha256(b"\0" + line["entry"].encode()).digest() for line in lines]
    line = [line for line in lines if listed in line.get("body", "")][-1]
    path = [base64.b64encode(each).decode() for each in _path(line["position"], leaves)]
    head = file_of(whole, "data/checkpoint").decode()
    proof = "\n".join(["c2sp.org/tlog-proof@v1", f"index {line['position']}", *path, "", head])
    later = {
        "checkpoint": head,
        "consistency": [each.hex() for each in _path(size - 1, leaves, size=size)],
        "entries": [{**{name: line[name] for name in ("entry", "salt", "body")}, "proof": proof}],
    }
    return rewritten(altered, log.place / "stated.zip", {"later.json": lambda _: json.dumps(later).encode()})
