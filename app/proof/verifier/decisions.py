"""Checks the decisions of a bundle: those of each hour must be exactly the ones that the log states.

A statement (`decision_hour`) names segments, each with the SHA-256 of its lines, their number, and how often each
answer was given. The lines of a segment stand in `data/decisions/ID.ndjson`.
"""

import hashlib
import zipfile
from collections import Counter
from datetime import datetime
from typing import Any

from app.proof.verifier.bodies import DROPPED, RESTORED, Findings
from app.proof.verifier.files import objects

_PREFIX = "data/decisions/"
_UNKNOWN = "unknown_processing"


def check_decisions(
    bag: zipfile.ZipFile,
    hours: list[tuple[str, dict[str, Any]]],
    acts: list[dict[str, Any]],
    found: Findings,
    *,
    chosen: bool,
) -> None:
    """Compare the decisions of a bundle with the log's statements. `hours`: these, each with the name of its entry.

    `acts`: acts in the log by which days were dropped, or a restore left the decision log from before it behind.
    `chosen`: whether the bundle is about one person or one processing, and so has no decisions.
    """
    there = {name for name in bag.namelist() if name.startswith(_PREFIX)}
    stated = _stated(hours, found)
    given = gone = dropped = 0
    first_gone: str | None = None
    days = {str(each["detail"].get("day")) for each in acts if each["act"] == DROPPED}
    moved = max((datetime.fromisoformat(each["at"]) for each in acts if each["act"] == RESTORED), default=None)
    for identifier, segment in stated.items():
        name = f"{_PREFIX}{identifier}.ndjson"
        if name in there:
            there -= {name, name.replace(".ndjson", ".people.ndjson")}
            given += segment["rows"]
            _check_segment(bag, name, segment, found)
        elif not (chosen or segment["hour"][:10] in days or _is_before(segment["hour"], moved)):
            found.wrong.append(f"{segment['rows']} decisions of {segment['hour']} that the log states are gone")
        else:
            gone += segment["rows"]
            first_gone = first_gone or segment["hour"]
    found.wrong += [f"{name}: no statement of the log names these decisions" for name in sorted(there)]
    if not hours:
        found.checked.append("no hour of decisions is stated here: it shows no decision")
    else:
        until = hours[-1][1]["until"]
        found.checked.append(f"{given} decisions against the statements of their hours, which reach to {until}")
    if gone:
        found.missing.append(f"{gone} decisions that the log states, from {first_gone} on, are not part of this bundle")
    for _, hour in hours:
        dropped += int(hour["dropped"])
    if dropped:
        found.missing.append(f"{dropped} decisions that were not logged, by the operator's word")


def _is_before(hour: str, moved: datetime | None) -> bool:
    return moved is not None and datetime.fromisoformat(hour) < moved


def _stated(hours: list[tuple[str, dict[str, Any]]], found: Findings) -> dict[str, dict[str, Any]]:
    """The stated segments by id. Report a statement that leaves a gap, overlaps, or names a segment again."""
    stated: dict[str, dict[str, Any]] = {}
    until: str | None = None
    for name, hour in hours:
        if until is not None and hour["since"] != until:
            found.wrong.append(f"{name}: nothing is stated from {until} to {hour['since']}, or twice")
        until = hour["until"]
        for segment in (*hour["segments"], *hour["late"]):
            if segment["id"] in stated:
                found.wrong.append(f"{name}: it names decisions that another statement names")
            stated[segment["id"]] = segment
    return stated


def _check_segment(bag: zipfile.ZipFile, name: str, segment: dict[str, Any], found: Findings) -> None:
    digest, counts, rows = hashlib.sha256(), Counter[tuple[str, bool, str]](), 0
    with bag.open(name) as lines:
        for line, said in objects(lines):
            digest.update(line)
            rows += 1
            known = "" if said["reason"] == _UNKNOWN else said["processing"]
            counts[known, said["decision"], said["reason"]] += 1
    told = Counter(
        {(processing, permitted, reason): number for processing, permitted, reason, number in segment["counts"]}
    )
    if digest.hexdigest() != segment["open_sha256"] or counts != told or rows != segment["rows"]:
        found.wrong.append(
            f"the decisions of {segment['hour']} ({name}) are not those that were stated: {rows} lines, and "
            f"{segment['rows']} were logged"
        )
