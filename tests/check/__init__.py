"""The check of files: stages, isolation, report."""
