"""The live tail: new events and attempts as they come (docs/decisions/0007-live-tail.md).

endpoint -> people (who may look) -> feed (streams, and the one poller behind them) -> rows (what is read)
"""
