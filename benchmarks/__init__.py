"""How fast the lab is, against a plain Lightning script on the same cells and machine."""
