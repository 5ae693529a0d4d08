"""What `benchmarks/kill.py` is made of: a shop that lives on, connections that speak for it, and what is counted."""
