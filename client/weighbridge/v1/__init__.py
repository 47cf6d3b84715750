"""Messages and stubs generated from protos/ by scripts/generate. Do not edit."""
