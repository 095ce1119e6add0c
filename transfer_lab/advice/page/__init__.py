"""The page of an advice: one file that asks nobody for anything. Imports what `advice` may."""
