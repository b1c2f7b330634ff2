"""Whether the sweep says each thing exactly once while its workers are killed and users decide anew."""
