"""checkpoint and import: what others published, told and taken over.

The formats themselves are in `pmam/models/importers`.
"""
