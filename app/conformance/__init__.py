"""Golden cases: files of a register, events, a request and the expected decision, run through the core.

Nothing here opens a database or a socket. The format is that of `tests/conformance/decisions.yaml`.
"""
