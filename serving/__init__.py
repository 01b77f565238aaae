"""The server: the engine, its batcher and its HTTP interface."""
