"""Policies of promotion: set and read (``policies``), judged (``judge``), and asked at every gate (``gate``)."""
