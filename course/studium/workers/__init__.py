"""Code in child processes: how they start, what they may take, what they tell, how they end, and what is said then."""
