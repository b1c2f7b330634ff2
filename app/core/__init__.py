"""The policy decision point: values and pure functions.

Nothing here reads a clock, a database, the environment or the network: instants, register entries and consent
events are arguments, decisions are values. The rules are those of CPCE art. L32-3; `docs/law.md` maps each to
its function and its tests.
"""
