"""What `run.py` measures, one module for every group of figures."""
