"""Searching versions: checked expressions become SQL, of which every name and value of theirs is a parameter.

``sources`` knows in which tables things are, ``conditions`` makes an expression's SQL, ``narrowing`` finds the few
versions that a condition can hold for at all, ``ordering`` makes the keys of an order and of its pages, and ``rows``
asks the database.
"""
