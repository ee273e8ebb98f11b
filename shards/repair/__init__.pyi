from .rebuild_index import describe_dataset as describe_dataset
from .restore import repair as repair
from .verification import Problem as Problem
from .verification import Report as Report
from .verification import verify as verify
