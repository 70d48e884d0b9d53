"""Late work: budgets, penalties, and who gets more time."""
