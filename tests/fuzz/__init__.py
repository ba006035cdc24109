"""Feed everything that reads what others have written, until it says something that it may not."""
