"""lists/xmp.py and lists/xmp_packet.py: keywords are added to sidecars as photo programs write them.

The samples follow the structure that each program's files have; exiv2 and exiftool read the results back.
"""

import re
import time

import pytest
from PIL import Image

from lists.xmp import EMPTY, keyword_path, new_sidecar, with_keywords
from lists.xmp_packet import NotXmpError
from names.labels import LabelName
from names.species import Species
from tests.support.drawings import encoded
from tests.support.metadata_tools import keywords_by_exiv2, needs_tools, tags_by_exiftool
from tests.unit.lists.birds import NAMES, TIT

PATH = ("Birds", "Passeriformes", "Paridae", "Great Tit")
FLAT, BARS, SLASHES = "Great Tit", "Birds|Passeriformes|Paridae|Great Tit", "Birds/Passeriformes/Paridae/Great Tit"

OF_DIGIKAM = ("XMP-digiKam:TagsList", "XMP-microsoft:LastKeywordXMP")

HEAD = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
"""
TAIL = "\n </rdf:RDF>\n</x:xmpmeta>\n" + 20 * (100 * " " + "\n") + '<?xpacket end="w"?>'

#: All simple properties are attributes, with line breaks as references; flat keywords and paths.
LIGHTROOM = f"""{HEAD}  <rdf:Description rdf:about="uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
   xmp:Rating="4" photoshop:Instructions="first line&#xA;second&#x9;line">
   <dc:subject>
    <rdf:Bag>
     <rdf:li>pond &amp; reed</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>places|pond &amp; reed</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
  </rdf:Description>{TAIL}"""

#: A declaration instead of a packet; everything is one description; its own lists are Seq.
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="1"
   darktable:xmp_version="5">
   <dc:subject>
    <rdf:Bag>
     <rdf:li>pond</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="exposure" darktable:params="gz02eJxjYGBg"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

#: The same keywords in every property that some program reads.
DIGIKAM = f"""{HEAD}  <rdf:Description rdf:about=""
    xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
   digiKam:PickLabel="0">
   <digiKam:TagsList><rdf:Seq><rdf:li>Teich/Ufer</rdf:li></rdf:Seq></digiKam:TagsList>
   <MicrosoftPhoto:LastKeywordXMP><rdf:Bag><rdf:li>Teich/Ufer</rdf:li></rdf:Bag></MicrosoftPhoto:LastKeywordXMP>
   <lr:hierarchicalSubject><rdf:Bag><rdf:li>Teich|Ufer</rdf:li></rdf:Bag></lr:hierarchicalSubject>
   <dc:subject><rdf:Bag><rdf:li>Ufer</rdf:li></rdf:Bag></dc:subject>
  </rdf:Description>{TAIL}"""

#: A description for each namespace, single quotation marks, and no properties but those that were asked for.
EXIFTOOL = """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>

 <rdf:Description rdf:about=''
  xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:description>
   <rdf:Alt>
    <rdf:li xml:lang='x-default'>Ünder the &gt; bridge</rdf:li>
   </rdf:Alt>
  </dc:description>
 </rdf:Description>

 <rdf:Description rdf:about=''
  xmlns:xmp='http://ns.adobe.com/xap/1.0/'>
  <xmp:Label>Red</xmp:Label>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""

#: Other prefixes than usual, no ``x:xmpmeta``, a comment, empty lists, and an empty description.
UNUSUAL = """<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><!-- > "mine" -->
<r:Description xmlns:d="http://purl.org/dc/elements/1.1/"><d:subject><r:Bag /></d:subject></r:Description>
<r:Description r:about=""/></r:RDF>"""

DESCRIPTION = UNUSUAL[UNUSUAL.index("<r:Description") : UNUSUAL.index("<r:Description r")]
AS_ATTRIBUTE = UNUSUAL.replace(DESCRIPTION, DESCRIPTION[: DESCRIPTION.index("><d:")] + ' d:subject="tit"/>')

SAMPLES = {
    "new": EMPTY,
    "Lightroom": LIGHTROOM.encode(),
    "darktable": DARKTABLE.encode(),
    "digiKam": DIGIKAM.encode(),
    "exiftool": EXIFTOOL.encode(),
    "unusual": UNUSUAL.encode(),
    "UTF-16": DARKTABLE.replace("UTF-8", "UTF-16").encode("utf-16"),
    "UTF-16, big-endian": b"\xfe\xff" + DARKTABLE.encode("utf-16-be"),
    "no keywords at all": (HEAD + "<rdf:Description rdf:about=''/>" + TAIL).encode(),
    "an empty root": DARKTABLE[: DARKTABLE.index(">\n  <rdf:Desc")].encode() + b"/></x:xmpmeta>",
}
samples = pytest.mark.parametrize("before", SAMPLES.values(), ids=SAMPLES)


@samples
def test_all_that_was_there_stays_byte_for_byte_and_a_second_time_nothing_is_added(before):
    after = with_keywords(before, [PATH])
    rest = iter(after)
    kept = before.removesuffix(b"/></x:xmpmeta>")  # of an empty element, one tag becomes two
    assert all(byte in rest for byte in kept.replace(b"<r:Bag />", b"<r:Bag>"))  # in this order
    assert with_keywords(after, [PATH]) == after != before
    assert with_keywords(before, []) == before


@needs_tools
@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "unusual"])
def test_what_was_there_is_read_as_before(name, tmp_path):
    old, new = tmp_path / "old.xmp", tmp_path / "new.xmp"
    old.write_bytes(SAMPLES[name])
    new.write_bytes(with_keywords(SAMPLES[name], [PATH]))
    before, after = tags_by_exiftool(old), tags_by_exiftool(new)
    assert after["XMP-dc:Subject"][-1] == FLAT
    assert after["XMP-lr:HierarchicalSubject"][-1] == BARS
    for tag, value in before.items():
        assert after[tag] == value or after[tag][: len(value)] == value


@needs_tools
@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("new", {"dc": [FLAT], "lr": [BARS]}),
        ("Lightroom", {"dc": ["pond & reed", FLAT], "lr": ["places|pond & reed", BARS]}),
        ("darktable", {"dc": ["pond", FLAT], "lr": ["pond", BARS]}),
        (
            "digiKam",
            {
                "dc": ["Ufer", FLAT],
                "lr": ["Teich|Ufer", BARS],
                "digiKam": ["Teich/Ufer", SLASHES],
                "MicrosoftPhoto": ["Teich/Ufer", SLASHES],
            },
        ),
        ("exiftool", {"dc": [FLAT], "lr": [BARS]}),
    ],
)
def test_keywords_join_those_that_are_there_and_hide_none_of_them(sample, expected, tmp_path):
    file = tmp_path / "photo.jpg.xmp"
    file.write_bytes(with_keywords(SAMPLES[sample], [PATH]))
    assert keywords_by_exiv2(file) == expected


@needs_tools
@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (LIGHTROOM, {"dc": ["pond & reed", FLAT], "lr": ["places|pond & reed", BARS]}),
        (
            DIGIKAM,
            {
                "dc": ["Ufer", FLAT],
                "lr": ["Teich|Ufer", BARS],
                "digiKam": ["Teich/Ufer", SLASHES],
                "MicrosoftPhoto": ["Teich/Ufer", SLASHES],
            },
        ),
        (LIGHTROOM.replace("</rdf:RDF>", ""), {"dc": [FLAT], "lr": [BARS]}),
        ("", {"dc": [FLAT], "lr": [BARS]}),
    ],
    ids=["Lightroom", "digiKam", "damaged", "none"],
)
def test_a_new_sidecar_does_not_hide_the_keywords_that_are_in_the_photo_itself(inside, expected, tmp_path):
    photo = encoded(Image.new("RGB", (8, 8)), "JPEG", xmp=inside.encode())
    file = tmp_path / "photo.jpg.xmp"
    file.write_bytes(with_keywords(new_sidecar(photo), [PATH]))
    assert keywords_by_exiv2(file) == expected
    assert tags_by_exiftool(file).keys() <= {"XMP-dc:Subject", "XMP-lr:HierarchicalSubject", *OF_DIGIKAM}


def test_several_birds_get_a_keyword_each_and_none_twice():
    other = ("Birds", "Blue <Tit>")
    after = with_keywords(with_keywords(EMPTY, [PATH]), [other, PATH, other])
    assert re.findall("<rdf:li>(.*)</rdf:li>", after.decode()) == [
        *[FLAT, "Blue &lt;Tit&gt;"],
        *[BARS, "Birds|Blue &lt;Tit&gt;"],
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "It is damaged in line 1."),
        (DARKTABLE.encode()[:-15], "It is damaged in line 21."),
        (DARKTABLE.encode("utf-16")[:-5], "It is damaged."),
        (b"\xff\xfe\x00\xd8\x00\xd8", "It is damaged."),
        (b"<html/>", "It holds no XMP."),
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "It declares a document type"),
        (DARKTABLE.replace("pond", "étang").encode("latin-1"), "It is damaged."),
        (UNUSUAL.replace("<r:Bag />", "a tit").encode(), "It has keywords, but not as a list."),
        (AS_ATTRIBUTE.encode(), "It has keywords, but not as a list."),
        (UNUSUAL.replace("<r:Description r", f"{DESCRIPTION}<r:Description r").encode(), "It has the same kind of"),
        (UNUSUAL.replace("<r:Description r", "<r:RDF/><r:Description r").encode(), "It holds XMP more than once."),
        (f"<a>{UNUSUAL}{UNUSUAL}</a>".encode(), "It holds XMP more than once."),
    ],
)
def test_what_is_not_xmp_or_writes_keywords_in_another_way_is_refused_with_a_sentence(content, sentence):
    with pytest.raises(NotXmpError, match=f"^{re.escape(sentence)}"):
        with_keywords(content, [PATH])


def test_a_list_inside_an_item_of_the_list_is_left_alone():
    inner = f"<r:li>{DESCRIPTION.replace('<r:Bag />', '<r:Bag></r:Bag>')}</r:li>"
    nested = UNUSUAL.replace("<r:Bag />", f"<r:Bag>{inner}</r:Bag>").encode()
    after = with_keywords(nested, [PATH])
    assert f"<r:Bag>{inner}<r:li>{FLAT}</r:li></r:Bag>".encode() in after
    assert with_keywords(after, [PATH]) == after


@pytest.mark.parametrize(
    "make",
    [
        lambda: new_sidecar(b"<?xpacket begin=?>" * 20_000),
        lambda: with_keywords(UNUSUAL.replace("<r:Bag />", f"<r:Bag{' ' * 3_000_000}/>").encode(), [PATH]),
    ],
    ids=["photo", "sidecar"],
)
def test_a_file_that_was_made_to_be_slow_is_read_in_no_time(make):
    started = time.process_time()
    make()
    assert time.process_time() - started < 0.3


def test_a_keyword_has_the_levels_that_are_known_in_the_language_that_was_asked_for():
    assert keyword_path(NAMES[TIT], "en") == PATH
    assert keyword_path(NAMES[TIT], "de") == (*PATH[:-1], "Kohlmeise")
    assert keyword_path(NAMES["Purple Rain"], "en") == ("Birds", "Purple Rain")


def test_no_name_makes_two_levels_or_breaks_the_file():
    name = LabelName("x", "x", Species("Alder / Willow|Flycatcher\0\ud800", family="Tyrannidae"))
    path = keyword_path(name, "en")
    assert path == ("Birds", "Tyrannidae", "Alder-Willow-Flycatcher")
    assert with_keywords(EMPTY, [path]).count(b"Alder-Willow-Flycatcher") == 2
    assert keyword_path(LabelName("x", "\u200b"), "en") == ("Birds",)
