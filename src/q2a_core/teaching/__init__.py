"""For those who learn and teach here: lessons and their checks, the doctor, the offline bundle, the quiz."""
