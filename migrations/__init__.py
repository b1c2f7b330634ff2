"""The schema's revisions, which Alembic loads by path: a package only so that the wheel takes the folder along."""
