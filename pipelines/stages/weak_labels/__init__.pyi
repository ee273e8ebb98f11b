from .figures import weak_figures as weak_figures
from .report import weak_report as weak_report
from .stage import train_weak as train_weak
