"""Commands that train models, take over published ones and tell what one is.

`training` pretrains and fine-tunes, `weak` trains on weak labels; `checkpoint` and `imports` take
over.
"""
