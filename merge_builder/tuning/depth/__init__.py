"""Depth-wise integration (DIS, arXiv 2502.04030): layers chosen from several experts, repeated and scaled.

The depth changes, so what is found shares no blocks with a ladder's rungs: it is a model of its own, which all tasks
use, at 1x.
"""
