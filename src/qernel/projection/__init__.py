"""Diffusion Monte Carlo: what imaginary time makes of a wavefunction whose nodes, or whose phase, stay as they are."""
