"""What moving weights costs, beside ``cp`` and beside what a user would pick instead.

One file a section: ``throughput``, ``stages``, ``codec``, ``changes``, ``memory``, ``sharing``. Each returns a
``report.Section``; ``terminal``, ``document`` and ``chart`` show it. Linux only.
"""
