"""Ids of decisions: version 7 with a number of the process and a count, the same for a worker and an edge."""

import os
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.db.session import decision_id, numbered_id
from sceau_client.held import decision_id as of_an_edge

times = st.floats(0, 4e9)


@given(times, st.integers(0, 2**34 - 1), st.integers(0, 2**40 - 1))
def test_an_id_tells_time_process_and_count(at, ids, count):
    """It is a UUID of version 7 of which each of the three can be read, and an edge makes the same one."""
    made = UUID(numbered_id(at, ids, count).decode())
    own = (made.int >> 64 & 0xFFF) << 62 | made.int & (2**62 - 1)
    assert (made.version, made.int >> 80, own >> 40, own & (2**40 - 1)) == (7, int(at * 1000), ids, count)
    assert of_an_edge(at, ids, count) == str(made)


@given(st.lists(times, min_size=2, max_size=50))
def test_a_process_gives_no_id_twice(instants):
    """Also where its clock stands, or is set back; each begins with its milliseconds."""
    made = [UUID(decision_id(each).decode()) for each in instants]
    assert len(set(made)) == len(made)
    assert [each.int >> 80 for each in made] == [int(each * 1000) for each in instants]
    assert {each.version for each in made} == {7}


def test_a_forked_process_has_a_number_of_its_own():
    """Parent and child count from the same place, and give different ids for one instant."""
    decision_id(1.0)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, decision_id(1.0))
        os._exit(0)
    os.waitpid(child, 0)
    of_child, own = UUID(os.read(reading, 36).decode()), UUID(decision_id(1.0).decode())
    os.close(reading)
    os.close(writing)
    assert of_child.int >> 40 & (2**22 - 1) != own.int >> 40 & (2**22 - 1)
