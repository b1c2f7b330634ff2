"""HTML for people: server-rendered pages, no script, nothing fetched from elsewhere; nothing here decides."""
