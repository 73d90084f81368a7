"""How good a model is: the field's metrics, and its protocols run through the same tracker that people use.

``layouts`` finds what to evaluate on (``sequences``, ``pictures``, ``procedural``), and ``names`` which part of it;
``jobs`` says what one job is, and ``semi_supervised``, ``interactive``, ``images`` and ``predictions`` do it;
``runner`` runs them on a backend and keeps ``results`` in a ``store``, with a fingerprint of their ``inputs``;
``summary`` makes tables of them, which ``export`` and ``report`` write.
"""
