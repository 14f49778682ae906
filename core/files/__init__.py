"""What people send besides words: fetched through an adapter, and read as text within a budget."""
