"""How good a model is: the field's metrics, and its protocols run through the same tracker that people use.

``layouts`` finds what to evaluate on (``sequences``, ``pictures``, ``procedural``); ``jobs`` says what one job is, and
``semi_supervised``, ``interactive``, ``images`` and ``predictions`` do it; ``runner`` runs them on a backend and keeps
``results`` in a ``store``; ``summary`` makes tables of them, which ``export`` and ``report`` write.
"""
