"""What is shown of what is stored: study, sections, figures, renderers, dashboard, W&B. No torch;
imports `similarity`, `stats`, `store`, `experiment` and `system`.
"""
