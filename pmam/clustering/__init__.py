"""K-means, PCA and what tells how many clusters there are.

All of them read frames in blocks, so that no set of frames must fit in memory.
"""
