"""Training: the residuals of a declared problem over points, one state on disk, resuming, several processes."""
