"""The wire: channels, messages and statuses. Protobuf and gRPC types stop here."""
