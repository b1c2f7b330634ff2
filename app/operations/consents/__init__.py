"""Record, withdraw, search, collect, renew and forget consents."""
