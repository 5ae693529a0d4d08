"""What `benchmarks/retrieval.py` is made of."""
