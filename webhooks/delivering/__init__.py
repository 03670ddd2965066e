"""From a due delivery to its result, in the order that a delivery passes the files:

outbox (claim, settle) -> delivery (batch -> adapter -> results) -> lanes -> worker;
backoff and breaker say when to try again, wakeup says that something is due.
"""
