"""Advice about indexes: what reads are in use, which indexes they could use, and what these really bring.

* ``uses``     reads that something asks for: rules, bookmarks, relations, sort fields, slow reads of a log
* ``wanted``   the indexes that a read could use
* ``samples``  values for what a rule leaves open
* ``tries``    a read before and after an index
* ``advisor``  all of it together, and the making of the indexes
"""
