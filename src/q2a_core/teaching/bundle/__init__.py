"""The course for a machine without a network: what lies in the bundle, its wheels, and what it wrote."""
