"""Puts right what does not go on by itself, so that every order ends without anybody's help."""
