"""For those who learn and teach here: the doctor and the workbench's launcher."""
