"""The policy information point's store: consent events, their projection, subjects and their vault."""
