"""The calls of a client, a file for each thing that they are about."""
