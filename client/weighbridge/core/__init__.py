"""The shared core: digests, chunking, codecs, references, values and errors.

Pure: nothing here imports grpc, protobuf or a database, so the server builds on it
and its tests need neither a channel nor a catalogue.
"""
