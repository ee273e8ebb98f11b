"""The masked audio model and the detector, and the checkpoints that hold them.

A model is an encoder, a context network over its frames, and a head.
"""
