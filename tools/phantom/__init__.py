"""Synthetic ultrasound studies, drawn by a program: patients, anatomy, acoustics, raters, files."""
