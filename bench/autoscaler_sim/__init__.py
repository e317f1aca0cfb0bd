"""The autoscaler's `decide` against simulated pods and loads, next to two published algorithms.

`python -m bench.autoscaler_sim [--write-docs]`. Everything random has a seed, so two runs agree.
"""
