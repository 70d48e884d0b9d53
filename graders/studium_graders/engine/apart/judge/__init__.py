"""The judge: it runs tests and says what they are worth, and no code of a student's runs in it."""
