"""What the program costs, measured on real machines; never a test of anything."""
