"""The in-memory facts of a replica, and the change feed that keeps them true (docs/architecture.md)."""
