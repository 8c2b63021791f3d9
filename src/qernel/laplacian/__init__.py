"""∇ and Δ of log ψ: the forward Laplacian and its oracles."""
