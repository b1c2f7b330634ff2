"""What is kept of writes that forbid, outside the database: a restored backup must not revive what was withdrawn."""
