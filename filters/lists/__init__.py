"""What is looked up in lists: blocked words and addresses, benchmark passages."""
