"""Expressions in CEL, the Common Expression Language: read (``parse``), and checked against what they may name
(``check``). What they are compiled to is the affair of whoever asks.

Read with a parser of our own grammar, since one that backtracks over texts takes exponential time for a missing quote.
"""
