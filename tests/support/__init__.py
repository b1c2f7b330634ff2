"""What tests share: a database each, the application wired as in production, and requests in a few words."""
