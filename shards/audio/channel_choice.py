"""What of several channels becomes mono, by name."""

from typing import Literal

# The mean of all channels, one by its place, or the one with the most energy.
Channel = Literal["mean", "left", "right", "loudest"]
# The same, or each channel by itself.
ChannelChoice = Literal["mean", "left", "right", "loudest", "each"]
