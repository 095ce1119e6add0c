"""The evidence base of the advice: what it promises on data sets of which the truth is known."""
