"""Keys in, callers with scopes out; knows no HTTP."""
