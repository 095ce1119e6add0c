"""What rendered scenes are made of: a sheet to draw on, the things drawn, the compositions."""
