"""Benchmarks of the whole hub: ``python -m benchmarks NAME``. README.md says what each measures."""
