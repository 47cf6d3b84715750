"""The domain: what must hold, free of gRPC, protobuf and SQL."""
