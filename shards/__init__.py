"""Labelled audio in WebDataset tars, with an index beside them."""
