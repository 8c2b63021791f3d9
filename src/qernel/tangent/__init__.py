"""The tangent test: what share of the local energy's variance terms of a wavefunction could remove, without training.

The local energy is the direction in which imaginary time moves a wavefunction, (1 − δτ H)ψ = ψ (1 − δτ E_L), and
∂log ψ/∂α are the directions in which terms can move it. The share of the variance of E_L that a fit of these explains
is how far the terms can follow.
"""
