from pipelines.stages.prototypes.page import page as page
from pipelines.stages.prototypes.report import described as described
from pipelines.stages.prototypes.survey import Survey as Survey
from pipelines.stages.prototypes.survey import survey as survey
from pipelines.stages.prototypes.survey import survey_of as survey_of
