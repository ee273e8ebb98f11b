from .calibrate import load_encoder as load_encoder
from .frame_job import FrameFunction as FrameFunction
from .frame_job import open_frames as open_frames
from .frame_job import run_frame_job as run_frame_job
from .layers import layer_function as layer_function
from .layers import load_detector as load_detector
from .settings import CalibrationSettings as CalibrationSettings
from .settings import InferenceSettings as InferenceSettings
