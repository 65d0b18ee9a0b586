"""Nets drawn at random, and what must hold for each: ``python -m tests.random_nets --minutes 30 --seed 1``."""
