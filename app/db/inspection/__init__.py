"""What an operator is told about the server, its roles and a pooler, read without changing anything."""
