"""The ground everything stands on: dtypes, types, ops as values, and who interprets them.

Read in this order: `dtypes` and `types` (what a value is), `op` and `families` (what an operation
is), `interpret` (who carries it out), `location` (how errors find the user's line).
"""
