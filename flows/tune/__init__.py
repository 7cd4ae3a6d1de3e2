"""Mixture tuning: proxy runs of many mixtures on a run's shards, a fit, and the mixture that is proposed."""
