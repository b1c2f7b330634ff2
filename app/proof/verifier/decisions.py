"""Checks the decisions of a bundle: those of each hour must be exactly the ones that the log states.

A statement (`decision_hour`) names segments, each with the SHA-256 of its lines, their number, and how often each
answer was given. The lines of a segment stand in `data/decisions/ID.ndjson`.
"""

import hashlib
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
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

    `acts`: what `excuses` takes.
    `chosen`: whether the bundle is about one person or one processing, and so has no decisions.
    """
    there = {name for name in bag.namelist() if name.startswith(_PREFIX)}
    stated = _stated(hours, found)
    given = gone = dropped = 0
    first_gone: str | None = None
    is_excused = excuses(acts)
    for identifier, segment in stated.items():
        name = f"{_PREFIX}{identifier}.ndjson"
        if name in there:
            there -= {name, name.replace(".ndjson", ".people.ndjson")}
            given += segment["rows"]
            _check_segment(bag, name, segment, found)
        elif not (chosen or is_excused(segment["hour"])):
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


def excuses(told: Iterable[Mapping[str, Any]]) -> Callable[[str], bool]:
    """Return what tells whether the decisions of an hour may be gone.

    `told`: the acts by which days were dropped, or a restore left earlier decisions behind, and what was stated of the
    owner's limits, in order. A day that is not older than the limit cannot have been dropped: the smaller of the last
    two that were stated, because a limit that was just changed is stated by its act, and then as it stands.
    """
    days, restored, limits = set[str](), list[datetime](), deque[int](maxlen=2)
    for each in told:
        said = each.get("facts") or each.get("detail") or {}
        limits += [said["log_floor_days"]] if "log_floor_days" in said else []
        if each.get("act") == RESTORED:
            restored.append(datetime.fromisoformat(each["at"]))
        elif each.get("act") == DROPPED:
            kept = datetime.fromisoformat(each["at"]).astimezone(UTC) - timedelta(days=min(limits, default=1))
            days |= {said["day"]} if str(said.get("day")) < kept.date().isoformat() else set()
    return lambda hour: hour[:10] in days or any(datetime.fromisoformat(hour) < at for at in restored)


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
