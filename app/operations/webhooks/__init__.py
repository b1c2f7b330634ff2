"""Report events: webhooks, their deliveries and the feed."""
