"""The command line: ``python -m sam2_core track ...``."""
