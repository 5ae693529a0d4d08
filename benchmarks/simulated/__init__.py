"""Shops drawn from distributions whose truth is known in closed form, to hold intervals and guarantees against."""
