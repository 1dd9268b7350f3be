"""Landed: what files from outside give, kind by kind, and how a file is taken in.

A kind belongs to no layer here: its table lies in the layer that its name says.
"""
