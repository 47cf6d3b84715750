"""What a version records unasked: the code, the machine, the packages. Nothing here raises or uses the network."""
