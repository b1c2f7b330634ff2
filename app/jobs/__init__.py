"""Background work: the Procrastinate application and its tasks, each a thin call of an operation.

Runs in the jobs process (`sceau worker`, or beside the web workers of `sceau serve`). Decisions never depend on it.
"""
