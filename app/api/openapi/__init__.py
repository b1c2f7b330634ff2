"""What the OpenAPI document says beyond what FastAPI derives: scopes, words, patterns in words, and real answers."""
