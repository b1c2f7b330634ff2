"""A PostgreSQL server for one machine, started and stopped with this process.

For development, the demonstration and the tests. It must not be offered as a way to run in production, know the
schema of the application, or be imported by anything but the composition root, the command line and the tests.
"""
