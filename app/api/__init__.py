"""The HTTP edge: routers, wire models, problem documents. Nothing here decides."""
