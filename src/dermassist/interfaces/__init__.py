"""Thin front ends; they do not know each other."""
