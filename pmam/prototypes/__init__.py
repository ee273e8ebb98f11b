"""Prototypes: the artifact that a fit leaves, what it is used for, and how far it moved.

A prototype is a component of the mixture; its posteriors are the pseudo labels of frames.
"""
