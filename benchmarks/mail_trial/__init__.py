"""What `benchmarks/uplift.py` is made of: the trial of e-mails, the libraries beside cxreco, the measures."""
