"""Context networks: what a frame learns from the frames around it.

Transformer-XL blocks as published, a GRU and a conformer.
"""
