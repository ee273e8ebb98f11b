from .errors import ClusterError as ClusterError
from .preflight import PreflightError as PreflightError
from .preflight import check_job_outputs as check_job_outputs
from .preflight import check_reach as check_reach
from .session import SessionError as SessionError
from .session import cluster_address as cluster_address
from .session import cores as cores
from .session import is_running as is_running
