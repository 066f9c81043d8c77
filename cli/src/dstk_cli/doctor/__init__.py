"""`dstk doctor`: looks at everything, and says what is wrong and what to do about it."""
