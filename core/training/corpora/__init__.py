"""Conversations to learn from, by name: a package's, or files of one's own."""
