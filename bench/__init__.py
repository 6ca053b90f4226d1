"""The benchmark: ``python -m bench`` measures, judges the targets and writes docs/performance.md.

Everything is a ratio of two things measured in turns in one run, on the machine that the page
names: a slow or busy machine slows both. Absolute times stand beside them as evidence, and are
claimed nowhere.
"""
