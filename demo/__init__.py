"""`./dev demo`: a sample register and made-up consents, then real messages through decisions, over HTTP alone.

It plays the mail server: nothing here knows more of the service than its API, its data directory and its command.
"""
