"""The reader of decision requests and one that shares nothing with it read the same question, or both refuse."""

import copy
import functools
import json
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.decisions.reading import BadItem, Batch, read_batch, read_question
from app.api.http.problems import MalformedError, TooLargeError
from app.ledger.identifiers import Pseudonyms
from tests.decisions import second_reader
from tests.support.api import question

REF = Pseudonyms(b"k" * 32).locator
USUAL = {
    **question("alice@example.fr", "ads", elements=["content"], automated=True, channel="online", private=True),
    "context": {},
}
USUAL["resource"]["properties"]["participants"] = [{"id": "bob", "local": True}, {"id": "eve", "local": False}]
MEMBERS = {"subject", "action", "resource", "context"}
VALUES: list[object] = [
    None, 0, 1, 1.5, True, False, "", "true", "alice", "content", "online", "FR", "fr", "FRA", "FR\n", "a\tb", "a\0b",
    "alice\nbob", "a\x7fb", "a\x85b", "x" * 129, "x" * 513, {}, [], [None], [{}], ["alice"], ["content"], ["CONTENT"],
    [{"local": True}], [{"id": "b"}], [{"id": "b", "local": 0}], [{"id": "\t", "local": True}],
]  # fmt: skip
"""Good somewhere, and wrong elsewhere."""


def read(body):
    """What is read, as the rules take it; None where the body is refused."""
    try:
        return read_question(body, REF).as_request()
    except MalformedError:
        return None


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from([1.5, 0.0])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
    | st.sampled_from(["FR", "content", "online", "", "x" * 512, "x" * 513, "é", "a\tb", "\u200b", "\u00a0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=32), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = """
    subject subject.type subject.id action action.name action.properties action.properties.elements
    action.properties.automated resource resource.id resource.type resource.properties resource.properties.channel
    resource.properties.private resource.properties.territory resource.properties.participants
    resource.properties.participants.0 resource.properties.participants.1.id resource.properties.participants.1.local
    context context.decision_token more
"""
paths = [tuple(int(step) if step.isdecimal() else step for step in each.split(".")) for each in PLACES.split()]
places = st.sampled_from([(), *paths])


def changed(value, place, put):
    """A copy with something else in one place."""
    if not place:
        return put
    if isinstance(value, list):
        return [changed(each, place[1:], put) if at == place[0] else each for at, each in enumerate(value)]
    return {**value, place[0]: changed(value.get(place[0], {}), place[1:], put)}


def without(value, place):
    """A copy of which one place is left out."""
    kept = copy.deepcopy(value)
    *path, last = place
    inside = functools.reduce(operator.getitem, path, kept)
    inside.pop(last, None) if isinstance(inside, dict) else inside.pop(last)
    return kept


@pytest.mark.parametrize("place", paths, ids=PLACES.split())
def test_the_two_readers_agree_on_each_value(place):
    """With each of these values in one place, or nothing there, both readers read the same question or both refuse."""
    for body in (without(USUAL, place), *(changed(USUAL, place, put) for put in VALUES)):
        sent = json.dumps(body).encode()
        expected = second_reader.read(sent, REF)
        assert (read(sent), batch(sent)) == (expected, expected), body


@given(places, odd, st.booleans())
def test_the_two_readers_agree_on_altered_questions(place, put, ascii_only):
    """With any value in one place of a body, both readers read the same question or both refuse."""
    body = json.dumps(changed(USUAL, place, put), ensure_ascii=ascii_only).encode()
    assert read(body) == second_reader.read(body, REF)


@given(
    st.integers(0, len(json.dumps(USUAL)) - 1),
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=3),
)
def test_the_two_readers_agree_on_altered_texts(at, put):
    """With any text written over one character, both readers read the same question or both refuse."""
    text = json.dumps(USUAL)
    body = (text[:at] + put + text[at + 1 :]).encode()
    assert read(body) == second_reader.read(body, REF)


@given(st.permutations(list(USUAL)), st.permutations(["type", "id"]), st.permutations(["type", "id", "properties"]))
def test_the_order_of_members_changes_nothing(members, of_subject, of_resource):
    """A body is the same question in whatever order its members stand."""
    body = {name: USUAL[name] for name in members}
    body["subject"] = {name: USUAL["subject"][name] for name in of_subject}
    body["resource"] = {name: USUAL["resource"][name] for name in of_resource}
    assert read(json.dumps(body).encode()) == second_reader.read(json.dumps(USUAL).encode(), REF)


@pytest.mark.parametrize("blanks", [(",", ":"), (", ", ": "), (" , ", " : "), (",\n", "\t:\r")])
def test_a_member_that_stands_twice_is_refused(blanks):
    """Both readers refuse two members of one name, at every level and with any spacing."""
    text = json.dumps(USUAL, separators=blanks)
    for name in ("subject", "id", "private", "elements", "local", "context"):
        twice = text.replace(f'"{name}"', f'"{name}"{blanks[1]}null{blanks[0]}"{name}"', 1).encode()
        assert read(twice) is None
        assert second_reader.read(twice, REF) is None
        with pytest.raises(MalformedError):
            read_batch(twice[:-1] + b',"evaluations":[{}]}', REF)


def batch(body):
    """The questions of a batch as the rules take them, with None for a refused item; None if the batch is refused."""
    try:
        request = read_batch(body, REF)
    except (MalformedError, TooLargeError):
        return None
    if not isinstance(request, Batch):
        return request.as_request()
    return [None if isinstance(each, BadItem) else each.as_request() for each in request.items]


@given(st.lists(st.tuples(places.filter(bool), odd), max_size=3), st.sets(st.sampled_from(sorted(MEMBERS))))
def test_a_batch_is_its_singles(changes, left_out):
    """Each item of a batch is read as the single question that it makes together with the batch's defaults."""
    items = [{name: value for name, value in changed(USUAL, *each).items() if name == each[0][0]} for each in changes]
    defaults = {name: value for name, value in USUAL.items() if name not in left_out}
    read = batch(json.dumps({**defaults, "evaluations": [*items, {}, 7]}).encode())
    singles = [second_reader.read(json.dumps({**defaults, **item}).encode(), REF) for item in [*items, {}]]
    assert read == [*singles, None]


@given(st.sampled_from(sorted(MEMBERS)), odd)
def test_a_wrong_default_is_wrong_in_each_item_that_takes_it(name, put):
    """A wrong default spoils each item that takes it, and no item that has its own member."""
    good = {"subject": USUAL["subject"], "action": USUAL["action"], "resource": USUAL["resource"], "context": {}}
    read = batch(json.dumps({**USUAL, name: put, "evaluations": [{}, good]}).encode())
    alone = second_reader.read(json.dumps({**USUAL, name: put}).encode(), REF)
    assert read == [alone, second_reader.read(json.dumps(good).encode(), REF)]


@pytest.mark.parametrize("more", [b"1" + b"0" * 30, b"[" * 150 + b"]" * 150, b"1e999"], ids=["long", "deep", "large"])
def test_what_nothing_reads_is_not_looked_at(more):
    """A member that the specification says to ignore is ignored if it is JSON at all."""
    usual = json.dumps(USUAL).encode()
    assert read(usual[:-1] + b', "more": ' + more + b"}") == read(usual)


def test_nothing_that_was_sent_is_quoted():
    """A refusal does not quote the value of a wrong member, even if the value imitates the reader's own words."""
    for place in (("action", "properties", "elements"), ("resource", "properties", "channel"), ("subject", "id")):
        for value in (["secret"], "secret", "x\t' - at `$.secret`", ["x' - at `$.secret`"], 5):
            body = json.dumps(changed(USUAL, place, value)).encode()
            if (place[-1], value) == ("id", "secret"):
                continue
            with pytest.raises(MalformedError) as refused:
                read_question(body, REF)
            assert "secret" not in repr((refused.value.detail, refused.value.fields))
