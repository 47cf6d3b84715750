"""Curves of metrics: logged, kept, thinned."""
