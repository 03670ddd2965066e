"""Erasing a person: what would go (plans), the use cases (jobs), a worker's steps (working, stages), the receipt.

``people`` says who it is, ``tombstones`` keep them away afterwards, ``arrivals`` note what comes in about people.
"""
