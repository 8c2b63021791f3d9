"""One-electron orbitals and the determinants made of them."""
