"""Respond: "Which one, how surely, and may we?" Candidates in, a decision out."""
