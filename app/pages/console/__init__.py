"""The console at `/console`: what people do who answer to the law. One file a page, and two that serve them all."""
