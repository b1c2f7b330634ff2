"""The parts of the composition root: which part gets which, once. `app.main` puts them together.

Nothing here reads the environment, a clock or chance: settings and sources are handed in.
"""
