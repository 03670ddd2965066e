"""From a signed request to a committed event, in the order that a request passes the files:

verification (signature, address) -> intake (accept) -> groupcommit -> routing; quarantine for
what was refused; sources for who may post.
"""
