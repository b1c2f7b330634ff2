"""The routes that show how the service itself is: health and metrics."""
