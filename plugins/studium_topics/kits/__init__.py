"""Teaching kits: code that several topics build on and that learners are not asked to write. Import the module you
need.
"""
