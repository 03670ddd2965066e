"""The destination types, one file each."""
