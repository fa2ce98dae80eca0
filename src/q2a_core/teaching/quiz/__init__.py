"""The exit quiz: its questions, its order and score, and its widget."""
