"""How the target is learnt: a LightningModule for each regime. Imports `backbones` alone."""
