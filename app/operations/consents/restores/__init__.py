"""Dealing with a database that was restored to a point before what was recorded."""
