"""Requests in every shape, over raw sockets, against a real service; an independent oracle checks each answer."""
