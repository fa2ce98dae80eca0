"""Side-by-side timings: this implementation and the installed transformers, same weights, one run."""
