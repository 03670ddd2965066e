"""What is kept and for how long: payload bodies and their links, replay, retention, erasure."""
