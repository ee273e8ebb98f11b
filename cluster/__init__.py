"""Where jobs run: Ray sessions, and the filesystems behind URLs."""
