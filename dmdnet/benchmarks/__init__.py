"""How fast the parts are on this machine, beside the usual way of doing the same."""
