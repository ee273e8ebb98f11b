"""Labelled mixtures of recordings: which event where and how loud, and the samples.

A soundscape is a function of its plan; the same settings give the same bytes.
"""
