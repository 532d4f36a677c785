"""DMDNet: generic and specific memory dictionaries for blind face restoration."""

from dmdnet.archs.dmdnet.network import DMDNet, DMDNetOutput
from dmdnet.archs.dmdnet.specific_dictionary import SpecificDictionary

__all__ = ["DMDNet", "DMDNetOutput", "SpecificDictionary"]
