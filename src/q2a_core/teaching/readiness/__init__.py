"""Is this machine ready for the course: the doctor, a classroom, and how long the lessons will take on it."""
