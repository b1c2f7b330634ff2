"""HTTP itself: the connection, JSON, media types, problem documents and the types that every room's bodies use."""
