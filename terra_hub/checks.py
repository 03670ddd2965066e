"""System checks: what the hub refuses to run with."""
