"""Slates by several methods, on the same moments: what each is truly worth, and what each finds of the next basket."""
