from pipelines.stages.pack.stage import pack as pack
