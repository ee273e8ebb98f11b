"""The science of PMAM: tensors in, tensors out."""
