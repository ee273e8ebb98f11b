"""What others have published, in our terms: models, prototypes, pseudo labels."""
