from .average_precision import RankingTable as RankingTable
from .clip_ranking import ClipRanking as ClipRanking
from .presence import Answers as Answers
