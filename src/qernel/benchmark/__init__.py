"""What the stages of a training iteration cost, measured side by side with a general forward Laplacian."""
