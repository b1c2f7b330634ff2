from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.core.decision import LONGEST_SECONDS, correspondence_hash, lifetime, subject_hash

AT = datetime(2026, 6, 15, 12, 0, 0, 250_000, tzinfo=UTC)
instants = st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
left = st.none() | st.timedeltas(timedelta(0), timedelta(minutes=3))


def test_a_token_lives_for_a_minute():
    """A permit without an end, or with one far away, has a token of sixty whole seconds."""
    issued = int(AT.timestamp())
    assert lifetime(AT, None) == (issued, issued + 60)
    assert lifetime(AT, AT + timedelta(days=300)) == (issued, issued + 60)


def test_a_token_ends_with_its_permit():
    """A permit that ends sooner ends its token, at the whole second before."""
    issued = int(AT.timestamp())
    assert lifetime(AT, AT + timedelta(seconds=20, milliseconds=500)) == (issued, issued + 20)


def test_a_permit_that_is_nearly_over_has_no_token():
    """A permit with less than a second left has no token."""
    assert lifetime(AT, AT + timedelta(milliseconds=500)) is None


@given(instants, left)
def test_no_token_outlives_a_minute_or_its_permit(at, rest):
    """A token ends at most a minute after its decision and no later than its permit, for any fractions of seconds."""
    until = at + rest if rest is not None else None
    life = lifetime(at, until)
    if life is None:
        assert until is not None
        return
    issued, ends = life
    assert issued <= at.timestamp() < ends <= at.timestamp() + LONGEST_SECONDS
    assert until is None or ends <= until.timestamp()


@given(st.text(), st.text(), st.text(), st.text())
def test_the_hashes_tell_one_pair_from_another(handle, identifier, other_handle, other_identifier):
    """Each pair of handle and user has a hash of its pair alone, as long as neither holds a line feed."""
    if "\n" in handle + identifier + other_handle + other_identifier:
        return
    same = (handle, identifier) == (other_handle, other_identifier)
    assert (subject_hash(handle, identifier) == subject_hash(other_handle, other_identifier)) == same
    assert (correspondence_hash(handle) == correspondence_hash(other_handle)) == (handle == other_handle)


def test_the_hash_of_a_user_is_not_that_of_its_id():
    """One user has another hash for each handle, so that an id cannot be tried without the handle."""
    assert len({subject_hash(handle, "alice") for handle in ("a", "b", "")}) == 3


def test_the_hash_of_a_correspondence_is_the_plain_sha_256_of_its_handle():
    """The hash of a handle is its SHA-256, which any holder of the handle can compute (FIPS 180-2, B.1, for `abc`)."""
    assert correspondence_hash("abc").hex().startswith("ba7816bf8f01cfea")
    assert len(correspondence_hash("")) == 32
