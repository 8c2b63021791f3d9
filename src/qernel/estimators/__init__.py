"""Estimators: local energy, chains, statistics, densities and order parameters."""
