"""Background work: the Procrastinate application and its tasks, each a thin call of an operation.

It runs in the jobs process (`sceau serve --jobs-only`, or beside the web workers). Decisions never depend on it.
"""
