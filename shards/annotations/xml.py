"""XML that comes from outside: no entities, and texts that XML can hold."""

import re
import xml.etree.ElementTree as ET

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from shards.annotations.event import AnnotationError
from shards.annotations.format import Content

# Control characters, which XML has no way to write, and line ends, which its readers change.
NOT_XML = "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"


def parsed(content: Content) -> ET.Element:
    """The root of a document; entities, which can name files or grow without end, are refused.

    Raises:
        AnnotationError: it is no XML, or has entities.
    """
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", content.text)  # its encoding is undone already
    try:
        root: ET.Element = defusedxml.ElementTree.fromstring(text)
    except (ET.ParseError, DefusedXmlException, ValueError) as error:
        raise AnnotationError(f"{content.path}: no plain XML ({error}): restore it") from error
    return root


def xml_text(text: str) -> str:
    """A text with a space for what XML cannot hold."""
    return re.sub(NOT_XML, " ", text)


def document(root: ET.Element, doctype: str = "") -> bytes:
    """A whole document in UTF-8, indented."""
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}{body}\n'.encode()
