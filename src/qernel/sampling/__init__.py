"""Sampling of |ψ|² and the layout of walkers over devices."""
