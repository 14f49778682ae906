"""The echo bot of each platform's library, as its documentation begins: no memory, no store, no second try.

`python -m benchmarks.bare.telegram ACCOUNT`, ACCOUNT being JSON as in `benchmarks.people`.
"""
