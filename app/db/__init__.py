"""Engine, pools, session types, naming convention and the embedded PostgreSQL server; holds no question of the domain."""
