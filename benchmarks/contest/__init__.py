"""The contest of `benchmarks/decisions.py`: policies side by side in the same simulated shops."""
