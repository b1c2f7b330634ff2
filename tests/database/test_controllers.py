import psycopg
import pytest

from app.core.register.controllers import id_of_name
from app.db.migrate import downgrade, migrate
from tests.database.conftest import connected
from tests.support.api import processing, running
from tests.support.databases import fresh_database

NAMES = ("Exemple SAS", "Société d’Été")
OLDER = """
INSERT INTO processing VALUES (%s, %s, 'sorting', now(), gen_random_uuid());
"""
OLDER_VERSION = """
INSERT INTO processing_version (processing, number, effective_from, provider_kind, service, elements, automated,
    party_mode, started_on, consent_validity, material, name, notice, data_recipients, retention, recorded_at,
    recorded_by)
VALUES (%s, 1, now(), 'operator', 'mail', '{content}', true, 'user_only', '2020-01-01', 'P1Y', true, '{"fr": "N"}',
    '{"fr": "T"}', '{}', 'P30D', now(), gen_random_uuid())
"""


@pytest.fixture
def database():
    """A database as it was at revision 0020, with a processing of each of two controllers, and one more."""
    with fresh_database() as made:
        _down(made)
        with psycopg.connect(made.owner_url) as connection:
            for number, name in enumerate((*NAMES, NAMES[0])):
                connection.execute(OLDER, [f"p{number}", name])
                connection.execute(OLDER_VERSION, [f"p{number}"])
        yield made


def _down(database):
    with connected(database.owner_url) as connection:
        downgrade(connection, "0021")


def _names(database):
    with psycopg.connect(database.owner_url) as connection:
        return [row[0] for row in connection.execute("SELECT controller FROM processing ORDER BY id")]


def test_each_name_becomes_a_record(database):
    """After the migration each legal name has one record, under the id that the code derives from it."""
    migrate(database.owner_url, database.app_url)
    with running(database) as api:
        items = api.ok("GET", "/v1/controllers")["items"]
        assert {each["id"]: each["legal_name"] for each in items} == {id_of_name(name): name for name in NAMES}
        told = api.ok("GET", "/v1/processings/p1")
        assert (told["controller"], told["controllers"]) == (NAMES[1], [id_of_name(NAMES[1])])


def test_code_of_before_writes_on_the_new_schema(database):
    """A processing that older code registers after the migration is told with its name, and can be versioned."""
    migrate(database.owner_url, database.app_url)
    with psycopg.connect(database.app_url) as connection:
        connection.execute(OLDER, ["late", "Tardive SARL"])
        connection.execute(OLDER_VERSION, ["late"])
    with running(database) as api:
        told = api.ok("GET", "/v1/processings/late")
        assert (told["controller"], told["status"]) == ("Tardive SARL", "active")
        body = processing("late", controller="Tardive SARL", purpose="sorting", name={"fr": "N"}, notice={"fr": "T"})
        body |= {"elements": ["content"], "material": False}
        del body["id"]
        assert api.ok("POST", "/v1/processings/late/versions", body)["controllers"] == told["controllers"]


def test_going_back_gives_the_names_of_today(database):
    """After a downgrade each processing has the name that its first controller had by then, and up again goes."""
    migrate(database.owner_url, database.app_url)
    with running(database) as api:
        api.ok("POST", "/v1/controllers", {"id": "new", "kind": "other", "legal_name": "Neuve SA"})
        body = processing("p3", controllers=["new"])
        del body["controller"]
        api.ok("POST", "/v1/processings", body)
        api.ok("POST", "/v1/controllers/new/versions", {"legal_name": "Renommée SA"})
    _down(database)
    assert _names(database) == [*NAMES, NAMES[0], "Renommée SA"]
    with psycopg.connect(database.owner_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE processing SET controller = 'x'")
    migrate(database.owner_url, database.app_url)
    assert _names(database) == [*NAMES, NAMES[0], "Renommée SA"]


def test_a_processing_that_waits_stays_denied_to_code_of_before(database):
    """What waits for a second person is `suspended` to older code, and a version that waits is not there for it."""
    migrate(database.owner_url, database.app_url)
    with running(database, register_approval="two") as api:
        api.register("waits", purpose="sorting")
    with psycopg.connect(database.owner_url) as connection:
        status = "SELECT status FROM processing_status_change WHERE processing = 'waits'"
        assert connection.execute(status).fetchall() == [("suspended",)]
    _down(database)
    with psycopg.connect(database.owner_url) as connection:
        assert connection.execute(status).fetchall() == [("suspended",)]
