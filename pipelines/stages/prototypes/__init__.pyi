from .report import described as described
from .survey import Survey as Survey
from .survey import survey_of as survey_of
