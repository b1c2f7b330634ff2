"""Engine, pools, session types, naming convention and the embedded PostgreSQL server; holds no domain question."""
