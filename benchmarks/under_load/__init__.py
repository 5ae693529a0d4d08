"""What `benchmarks/serving.py` is made of: a shop to serve, servers to start, a load to put on them, and a report."""
