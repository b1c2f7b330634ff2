"""Notes of writes that forbid, kept outside the database: a restored backup must not revive what was withdrawn."""
