"""The stages of a run, one file or folder each; none of them knows another.

`pipelines/run.py` composes them.
"""
