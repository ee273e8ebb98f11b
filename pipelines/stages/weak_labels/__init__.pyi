from .figures import weak_figures as weak_figures
from .import_h5 import import_logmel as import_logmel
from .report import weak_report as weak_report
from .stage import train_weak as train_weak
