"""A second verifier of bundles and checkpoints, written from docs/proof-format.md without code of ours.

Usage: second_verifier.py KEYS FILE... (KEYS: a key a line). Exit status: 0 good, 1 wrong, 2 unreadable, 3 incomplete.
Not checked: receipts, stamps, witnesses, rotations (give all keys), replays, counts, odd JSON, ZIP names and sizes.
"""

import json
import re
import sys
import zipfile
from base64 import b64decode
from datetime import datetime, timedelta
from functools import reduce
from hashlib import sha256
from itertools import pairwise, permutations
from pathlib import Path
from types import SimpleNamespace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

time = datetime.fromisoformat
keys, heads, statuses = dict[bytes, Ed25519PublicKey](), list[tuple[str, SimpleNamespace]](), set[int]()


def _check(holds, what, status=1):
    if not holds:
        statuses.add(status)
        print(f"{['WRONG', 'UNREADABLE', 'NOT CHECKED'][status - 1]}: {file}: {what!a}")


def _sha(*parts):
    return sha256(b"".join(parts)).digest()


def _led(place, size, start=b"", *path):
    """The roots of the tree that ends with a place and of the whole one, by a proof of RFC 9162 (2.1.3 or 2.1.4)."""
    if not path:
        return [start, start]
    half, side = (1 << (size - 1).bit_length()) // 2, path[-1]
    if place < half:
        older, newer = _led(place, half, start, *path[:-1])
        return [older, _sha(b"\1", newer, side)]
    return [_sha(b"\1", side, each) for each in _led(place - half, size - half, start, *path[:-1])]


def _head(note):
    """A checkpoint that its log has signed; `roots` has that of each size of which the file proves it."""
    text, _, signatures = note.rpartition("\n\n")
    origin, size, root, signed, *_ = text.split("\n")
    octets = [b64decode(each.split(" ")[2]) for each in signatures.splitlines() if each.startswith(f"— {origin} ")]
    trusted = [each for each in octets if each[:4] in keys]
    if not trusted:
        raise InvalidSignature("no key that was given has signed the checkpoint")
    for each in trusted:
        keys[each[:4]].verify(each[4:], f"{text}\n".encode())
    size, root, at = int(size), b64decode(root), time(signed.removeprefix("signed "))
    heads.append((file, SimpleNamespace(origin=origin, size=size, root=root, roots={size: root}, at=at)))
    return heads[-1][1]


def _check_log(files):
    """A bundle is what its log holds and states; `lines` has them by their places, those of `later.json` too."""
    listed = {f"{_sha(files[name]).hex()}  {name}" for name in files if name.startswith("data/")}
    _check(set(files["manifest-sha256.txt"].decode().splitlines()) == listed, "its files are not those that are listed")
    log, head = json.loads(files["data/log.json"]), _head(files["data/checkpoint"].decode())
    assert log["format"] == "sceau-bundle/1", "its format is not known"
    _check(not files["data/unentered.ndjson"], "rows were recorded that are not in the log")
    lines = {line["position"]: line for line in map(json.loads, files["data/entries.ndjson"].splitlines())}
    _check(lines and list(lines) == list(range(log["first"], head.size)), "entries are missing, or not in their order")
    frontier = [bytes.fromhex(each) for each in log["frontier"]]
    for place, line in lines.items():
        top, left = _sha(b"\0", line["entry"].encode()), place
        while left & 1:
            top, left = _sha(b"\1", frontier.pop(), top), left >> 1
        frontier.append(top)
        head.roots[place + 1] = reduce(lambda right, left: _sha(b"\1", left, right), reversed(frontier))
    _check(head.roots[head.size] == head.root, "its entries are not those of its checkpoint")
    _check("later.json" in files, "the log does not state that this bundle was made")
    later = json.loads(files["later.json"])
    end, path = _head(later["checkpoint"]), [bytes.fromhex(each) for each in later["consistency"]]
    path = path if head.size & (head.size - 1) else [head.root, *path]
    _check(_led(head.size - 1, end.size, *path) == [head.root, end.root], "what came later does not continue this log")
    for line in later["entries"]:
        _, index, *path = line["proof"].partition("\n\n")[0].split("\n")
        place, leaf = int(index.removeprefix("index ")), _sha(b"\0", line["entry"].encode())
        good = head.size <= place < end.size and _led(place, end.size, leaf, *map(b64decode, path))[1] == end.root
        _check(good and lines.setdefault(place, line) is line, f"entry {place} came later, and is not in the log")
    _check_contents(files, log, lines, head.size)


def _check_contents(files, log, lines, size):
    """Bodies are what entries commit to, or may be missing, and decisions are those that were stated."""
    newest, bodies, gone, at, acts, floors = time("0001-01-01T00:00:00Z"), [], {}, {}, [], list[int]()
    for place, line in lines.items():
        it = json.loads(line["entry"])
        at[place], newest = time(it["at"]), max(newest, time(it["at"]))
        late = newest - at[place] > timedelta(seconds=60)
        _check(late == ("late" in it) or (log["first"] and not late) or place >= size, f"`late` of {place} is wrong")
        if "body" not in line:
            gone[place] = it["kind"]
            continue
        digest, body = _sha(bytes.fromhex(line["salt"]), line["body"].encode()).hex(), json.loads(line["body"])
        same = it["kind"] != "presented_text" or body["sha256"][2:] == _sha(body["text"].encode()).hex()
        _check(same and digest == it["commitment"], f"entry {place}: what the database has is not what was recorded")
        bodies.append((it["kind"], place, body))
    stated = [body["body"]["manifest_sha256"] for kind, place, body in bodies if kind == "bundle" and place >= size]
    _check(stated == [_sha(files["manifest-sha256.txt"]).hex()], "it is not the bundle that the log states")
    chosen = {"consent_event": log["processing"] or log["of_one_person"], "administrative_act": log["of_one_person"]}
    fair = {place for place, kind in gone.items() if "withheld" in lines[place] and chosen.get(kind)}
    for place, run in ((place, body["body"]) for kind, place, body in bodies if kind == "retention_run"):
        good = set(map(type, run["positions"])) <= {int} and lines.keys() & run["positions"] <= gone.keys()
        _check(good or place >= size, f"entry {place} is no run, or says that bodies were destroyed which are here")
        periods = [re.fullmatch("P(?:([0-9]+)Y)?(?:([0-9]+)M)?", str(each)) for each in run["schedule"].values()]
        months = [int(each[1] or 0) * 12 + int(each[2] or 0) for each in periods if each]
        old = at[place] - timedelta(days=min((each for each in months if each >= 13), default=9999) * 30.44 - 4)
        fair |= {n for n in gone.keys() & run["positions"] if gone[n] == "consent_event" and n < place and at[n] <= old}
    _check(gone.keys() <= fair, f"the bodies of the entries {sorted(gone.keys() - fair)} are gone")
    hours = [body["body"] for kind, place, body in bodies if kind == "decision_hour" and place < size]
    _check(all(one["until"] == other["since"] for one, other in pairwise(hours)), "hours do not follow each other")
    stated = [(each["id"], each) for hour in hours for each in [*hour["segments"], *hour["late"]]]
    names = {name.split("/")[2].partition(".")[0] for name in files if name.startswith("data/decisions/")}
    _check(names <= dict(stated).keys() and len(stated) == len(dict(stated)), "decisions were stated twice, or never")
    for act in (body for kind, _, body in bodies if kind in {"administrative_act", "standing"}):
        floors += filter(None, [(act.get("detail", act.get("body", {}).get("facts")) or {}).get("log_floor_days")])
        acts.append((act.get("act"), act.get("detail", {}).get("day"), time(act["at"]), min(floors[-2:], default=1)))
    for name, each in stated:
        digest, hour = _sha(files.get(f"data/decisions/{name}.ndjson", b"")).hex(), each["hour"]
        days = [day for what, day, at, n in acts if what == "decision_log.dropped" and day < f"{at - timedelta(n):%F}"]
        restored = any(what == "deployment.restored" and at > time(hour) for what, _, at, _ in acts)
        excused = name not in names and (chosen["consent_event"] or restored or hour[:10] in days)
        _check(excused or digest == each["open_sha256"], f"the decisions of {hour} are not those that were stated")


for name, _, key in (line.split("+", 2) for line in Path(sys.argv[1]).read_text().splitlines()):
    keys[_sha(name.encode(), b"\n", b64decode(key))[:4]] = Ed25519PublicKey.from_public_bytes(b64decode(key)[1:])
for file in sys.argv[2:]:
    try:
        if zipfile.is_zipfile(file):
            _check_log({name: bag.read(name) for bag in [zipfile.ZipFile(file)] for name in bag.namelist()})
            _check(False, "since when the log is so, and what this verifier leaves out", 3)
        else:
            _head(Path(file).read_text())
    except Exception as error:  # noqa: BLE001 - files may hold anything
        _check(False, f"{error!r}", 1 if isinstance(error, InvalidSignature) else 2)
for (file, one), (beside, other) in permutations(heads, 2):  # noqa: B007 - what is wrong is told of `file`
    if one.origin == other.origin:
        _check(other.roots.get(one.size, one.root) == one.root, f"the log was forked: {beside} has another tree")
        _check(one.at >= other.at or one.size <= other.size, f"the log was set back: {beside} is later and smaller")
sys.exit(min(statuses, default=0))
