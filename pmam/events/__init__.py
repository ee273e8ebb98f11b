"""From frame scores to events and from events to frame targets.

Windows of long recordings are joined here, smoothed, and cut into events.
"""
