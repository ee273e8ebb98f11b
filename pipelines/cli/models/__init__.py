"""Commands that train models, take over published ones and tell what one is."""
