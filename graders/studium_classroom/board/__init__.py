"""The pages that the server sends to browsers: the board, and the one that an invitation opens."""
