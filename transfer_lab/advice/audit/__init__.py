"""What should be looked at before anything is learnt from photographs."""
