"""Sessions: batching, threads, and the conversion of inputs and outputs."""
