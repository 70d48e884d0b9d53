"""The judge's side of the conversation: it trusts nothing that comes, and gives little away."""
