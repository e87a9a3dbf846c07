"""The shared vocabulary: jobs, messages, subjects, features, failure codes, the fit predicate. Imports nothing of
Pocket3DStudio.
"""
