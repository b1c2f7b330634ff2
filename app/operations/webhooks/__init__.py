"""Tell of events: webhooks, their deliveries and the feed."""
