"""``hub doctor``: is this hub well? What ``/health`` asks, and what only a look from outside or at the host shows.

catalogue (every check) -> running (one after the other, each bounded in time); public, databases, storage and
surroundings hold what the checks do. Nothing is changed, nothing that is posted is stored.
"""
