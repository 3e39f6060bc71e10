"""What archives read of a document: its XMP packet (ISO 16684-1), as PDF/A-2u demands.

fpdf2 would write one with the time of the writing, and the same report would be another file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from xml.sax.saxutils import escape

COMPLIANCE = "PDF/A-2U"
_PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
   <pdfaid:part>2</pdfaid:part>
   <pdfaid:conformance>U</pdfaid:conformance>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
   <xmp:CreatorTool>{creator}</xmp:CreatorTool>
   <xmp:CreateDate>{created}</xmp:CreateDate>
   <xmp:ModifyDate>{created}</xmp:ModifyDate>
   <xmp:MetadataDate>{created}</xmp:MetadataDate>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


def xmp(*, title: str, creator: str, created: datetime) -> str:
    """Return the packet of a document.

    Args:
        title: of the document.
        creator: the program that made it.
        created: with its time zone.
    """
    moment = created.astimezone(UTC).isoformat(timespec="seconds")
    return _PACKET.format(title=escape(title), creator=escape(creator), created=moment)
