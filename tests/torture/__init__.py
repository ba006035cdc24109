"""The torture of the program: faults in a row by seed, mutants of its safeguards, and the record.

python -m tests.torture --minutes 60          # all of it; writes docs/reliability.md
python -m tests.torture --seed 4711           # one case of the campaign again, step by step
python -m tests.torture.mutants               # the mutants alone
"""
