"""Pure functions on arrays: metrics, intervals, calibration, decisions, figures.

Nothing here reads images or runs a network. ``y_true`` is ``(n,)`` int, ``probabilities`` is
``(n, classes)`` float in the order of ``dermassist.diagnosis.CODES``, ``groups`` is ``(n,)`` lesion
identifiers. Only numpy is imported; the figures need matplotlib, fitting prediction sets crepes.
"""
