"""The Hamiltonian family: moiré potential, interactions, one-body bands."""
