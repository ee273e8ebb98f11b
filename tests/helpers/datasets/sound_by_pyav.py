"""Files as phones, recorders and cameras write them, encoded by PyAV: no program is needed."""

import io
from fractions import Fraction

import av
import numpy as np


def encoded_by_pyav(
    samples: np.ndarray, rate_hz: int, container: str, codec: str, *, with_picture: bool = False
) -> bytes:
    """A mono recording `(samples,)` in a container, beside moving pictures if asked."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        sound = out.add_stream(codec, rate=rate_hz, layout="mono")
        if codec == "wmav2":
            sound.bit_rate = 96_000
        picture = None
        if with_picture:
            picture = out.add_stream("mpeg4", rate=5)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        format_name = sound.codec_context.format.name if sound.codec_context.format else "fltp"
        resampler = av.AudioResampler(format=format_name, layout="mono", rate=rate_hz)
        frame = av.AudioFrame.from_ndarray(
            samples.astype(np.float32)[None], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            fifo.write(piece)
        size = sound.codec_context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
        if picture is not None:
            for number in range(5):
                grey = np.full((32, 32, 3), 40 * number, np.uint8)
                shot = av.VideoFrame.from_ndarray(grey, format="rgb24")
                out.mux(picture.encode(shot))
            out.mux(picture.encode(None))
    return buffer.getvalue()
