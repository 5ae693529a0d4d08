"""Repeat: "What did it teach us?" Outcomes in, rewards, estimates, a challenger and a verdict out."""
