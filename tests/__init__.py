"""The tests of extendctl: simulated machines, loop devices, and the lab."""
