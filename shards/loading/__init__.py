"""Training batches: the order of an epoch, reads ahead, and the loader.

The order is a pure function of (seed, epoch), in `block_order` and `sampling`.
"""
