"""What the database says of itself, for whoever watches the service."""
