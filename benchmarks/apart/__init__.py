"""What peers need to run apart from cxreco."""
