from .encoder import PaSSTEncoder as PaSSTEncoder
from .with_cnn import PaSSTCNNEncoder as PaSSTCNNEncoder
