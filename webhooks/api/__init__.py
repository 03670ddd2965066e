"""The API of the data plane, and of the whole: urls is its version 1."""
