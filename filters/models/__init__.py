"""Signals of fitted models: language, classifiers, reference n-grams, compression."""
