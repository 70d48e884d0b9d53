"""Teaching kits: what several topics stand on and no learner is asked to write. Import the module you need."""
