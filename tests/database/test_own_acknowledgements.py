import pytest

PREPARE = """
INSERT INTO staff_notice VALUES (1, now(), NULL, '{"fr": "Titre"}', '{"fr": "Texte"}');
INSERT INTO staff_member (id, registered_at) SELECT gen_random_uuid(), now() FROM generate_series(1, 2);
"""
ADD = """
INSERT INTO staff_acknowledgement
SELECT gen_random_uuid(), id, 1, 'fr', sha256(''), %s, now(), clock_timestamp(), id FROM staff_member WHERE id = %s
ON CONFLICT DO NOTHING
"""
KEPT = "SELECT way FROM staff_acknowledgement WHERE member = %s ORDER BY recorded_at, id"


@pytest.fixture
def members(owner):
    """Two members, of whom nothing is recorded yet."""
    owner.execute(PREPARE)
    members = [row[0] for row in owner.execute("SELECT id FROM staff_member")]
    owner.commit()
    return members


def _kept(connection, member):
    return [way for (way,) in connection.execute(KEPT, [member])]


def test_one_of_each_kind_is_kept(application, members):
    """Of a member and a version one row is what they did themselves and one is on paper, whichever came first."""
    for member, ways in zip(members, (["paper", "page", "api", "paper"], ["api", "paper", "page"]), strict=True):
        for way in ways:
            application.execute(ADD, [way, member])
        assert _kept(application, member) == ways[:2]
