"""Commands that send work to a cluster, and follow it there."""
