-- Fails while it is loaded.
error("not today")
