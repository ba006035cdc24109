"""The use of it all: plan an extension, carry it out, take it up again, check what came of it."""
