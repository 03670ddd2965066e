"""Retention: what is kept for how many days, and its removal in small steps all day.

``lives`` says how long; ``kinds`` names what is removed, each kind as a look (which rows are old enough, and free)
and a removal; ``steps`` does one step of a kind in one transaction; ``pace`` says how large and how often; ``chore``
is what a worker runs; ``state`` what people are told. docs/retention.md has the promises.
"""
