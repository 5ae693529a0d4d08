"""Recognise: "What do we know of this customer, at this instant?" Events in, `State` out."""
