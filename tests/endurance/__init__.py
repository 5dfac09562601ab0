"""What only shows in the long run, or with very many peers: `python -m tests.endurance`, `make endurance`.

Each module is one trial.  Short variants of all are in `tests/test_endurance.py`.
"""
