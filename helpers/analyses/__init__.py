"""One question a module: fingerprint (what are the images like), readings and raters (how far do
people agree), outlines (found, missed, how far off), speed, reliability, ablation.
"""
