from .place import tags_of as tags_of
from .results import TagSet as TagSet
from .settings import TaggerSettings as TaggerSettings
from .words import Classified as Classified
from .words import Classifier as Classifier
