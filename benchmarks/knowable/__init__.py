"""What anybody could know of a simulated shop's moments, and what nobody can."""
