"""Three platforms, two listeners, three workers and a store, of which everything is killed at random."""
