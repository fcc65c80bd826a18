"""Who may see and operate what, and why: people, groups, rights on objects, with the verbs of `aegis.identity` behind forms."""
