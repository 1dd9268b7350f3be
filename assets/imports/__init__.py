"""Imports: the record types of imported files, one module each, and the code that imports a file.

Record types belong to no layer. The name of a table gives its layer.
"""
