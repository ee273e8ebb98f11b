"""The jobs that join science, storage and cluster: one stage per file."""
