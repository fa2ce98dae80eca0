"""Pictures with matplotlib, for notebooks and export; every function returns a Figure and touches no global state."""
