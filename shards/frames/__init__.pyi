from .frame_set import FrameSet as FrameSet
from .reader import FrameFile as FrameFile
from .reader import FrameSpec as FrameSpec
from .sparse8 import decode_sparse8 as decode_sparse8
from .writer import FrameWriter as FrameWriter
