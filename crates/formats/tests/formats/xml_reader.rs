//! `XmlReader`: what it reads, where it resumes, what it says of bad input, and that it resolves nothing.

use std::path::PathBuf;

use oxbatch_core::item::{ErrorKind, ItemError, ItemReader};
use oxbatch_formats::XmlReader;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

use crate::harness::{block_on, outcomes, read_all, stored};

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Strike {
    #[serde(rename = "@id")]
    id: u32,
    species: String,
    speed: Option<u32>,
}

fn strike(id: u32, species: &str, speed: impl Into<Option<u32>>) -> Strike {
    Strike { id, species: species.to_owned(), speed: speed.into() }
}

fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.xml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Strike>, ItemError> {
    let (_folder, path) = file(text);
    let mut reader = XmlReader::new(path, "strike");
    block_on(async {
        reader.open(None).await?;
        read_all(&mut reader).await
    })
}

const GULL: &str = "<strike id=\"1\"><species>Gull</species><speed>12</speed></strike>";
const HAWK: &str = "<strike id='2'><species>Hawk</species></strike>";

#[test]
fn elements_are_read_wherever_they_stand() {
    for text in [
        format!("<strikes>{GULL}{HAWK}</strikes>"),
        format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<a>\r\n  {GULL}\r\n  {HAWK}\r\n</a>\r\n"),
        format!("<a><!-- {GULL} --><b c='>'/><d>text{GULL}</d><![CDATA[{GULL}]]><e><d>{HAWK}</d></e></a><!-- -->"),
        format!("<!DOCTYPE a SYSTEM \"file:///no/where.dtd\"><a>{GULL}\n\n{HAWK}</a>"),
    ] {
        assert_eq!(read(&text).unwrap(), [strike(1, "Gull", 12), strike(2, "Hawk", None)], "{text:?}");
    }
    assert_eq!(read("<a/>").unwrap(), []);
    assert_eq!(read(HAWK).unwrap(), [strike(2, "Hawk", None)], "the root itself is one");
}

#[test]
fn text_is_data_and_the_entities_of_xml_are_known() {
    let text = "<a><strike id=\"1\"><species>&lt;&amp;&#223; <![CDATA[ </strike> ]]></species></strike></a>";
    assert_eq!(read(text).unwrap(), [strike(1, "<&ß  </strike> ", None)]);
    let text = "<a><strike id=\"1\"><species> Gull </species></strike></a>";
    assert_eq!(read(text).unwrap(), [strike(1, " Gull ", None)]);
}

#[test]
fn a_document_that_is_not_whole_is_no_end_and_stays_a_fault() {
    for (text, problem) in [
        ("", "line 1: the file has no element"),
        ("\n<!-- a -->", "line 2: the file has no element"),
        ("<a>\n<b></b>", "line 2: the file ends within element 'a'"),
        ("<a><strike>", "line 1: the file ends within element 1"),
        ("<a><strike", "line 1: the file ends within a tag or comment"),
        ("<a><b></a>", "line 1: element 'b' is closed by '</a>'"),
        ("<a></a></a>", "line 1: '</a>' closes no element"),
        ("<a/><a/>", "line 1: a second element stands behind the root"),
        ("{}", "line 1: text stands outside of the root element"),
        ("<a/>\n \n x\n", "line 3: text stands outside of the root element"),
        (
            "<?xml version='1.0' encoding='latin1'?><a/>",
            "line 1: encoding 'latin1' is not read; convert the file to UTF-8, or read it with `.encoding(\"latin1\")`",
        ),
    ] {
        let (_folder, path) = file(text);
        let mut reader = XmlReader::<Strike>::new(&path, "strike");
        let problem = format!("file '{}', {problem}", path.display());
        block_on(async {
            reader.open(None).await.unwrap();
            let error = read_all(&mut reader).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Other, problem.clone()), "{text:?}");
            assert_eq!(reader.read().await.unwrap_err().to_string(), problem, "{text:?}: nobody can skip it");
        });
    }
}

#[test]
fn entities_are_never_resolved() {
    let (_secret_folder, secret) = file("secret");
    for entity in [format!("SYSTEM \"file://{}\"", secret.display()), "\"expanded\"".to_owned()] {
        let text = format!(
            "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY e {entity}>]><a><strike id=\"1\"><species>&e;</species></strike></a>"
        );
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        assert!(error.to_string().contains("unrecognized entity `e`"), "{error}");
    }
    let error = read("<a><strike id=\"1\"><species>&e;</species></strike></a>").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Parse, "{error}");
}

/// Reads one element that is bad and the good one behind it, straight and after a restart.
fn bad(element: impl AsRef<[u8]>) -> ItemError {
    bad_at("line 2, element 2", element)
}

fn bad_at(position: &str, element: impl AsRef<[u8]>) -> ItemError {
    let (_folder, path) = file([b"<a>", GULL.as_bytes(), b"\n", element.as_ref(), HAWK.as_bytes(), b"</a>"].concat());
    block_on(async {
        let mut reader = XmlReader::<Strike>::new(&path, "strike");
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(strike(1, "Gull", 12)));
        let error = reader.read().await.unwrap_err();
        assert_eq!((error.kind(), error.position()), (ErrorKind::Parse, Some(position)), "{error}");
        let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
        assert_eq!(
            reader.read().await.unwrap(),
            Some(strike(2, "Hawk", None)),
            "the position is behind the bad element"
        );
        assert_eq!(reader.read().await.unwrap(), None);
        let mut reader = XmlReader::<Strike>::new(&path, "strike");
        reader.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(strike(2, "Hawk", None)), "a restart, too, goes on behind it");
        error
    })
}

#[test]
fn a_bad_element_is_told_with_its_place_and_raw_text() {
    let raw = "<strike id=\"x\"><species>Gull</species></strike>";
    let error = bad(raw);
    assert_eq!(error.raw(), Some(raw));
    assert!(error.to_string().contains("string \"x\", expected u32"), "{error}");
    assert!(bad("<strike id=\"1\"/>").to_string().contains("missing field `species`"));
    let error = bad_at("line 2, element 2, column 26", b"<strike id=\"1\"><species>M\xf6we</species></strike>");
    assert_eq!(error.cause().to_string(), "text is not UTF-8");
    bad("<strike id=\"1\"><species></speed></strike>");
}

#[test]
fn a_deep_element_is_a_fault_and_no_overflow() {
    let deep = "<x>".repeat(60_000) + &"</x>".repeat(60_000);
    bad(format!("<strike id=\"1\"><species>{deep}</species></strike>"));
    let error = read("<x>".repeat(60_000)).unwrap_err();
    assert!(error.to_string().contains("nested deeper than 128 levels"), "{error}");
}

#[test]
fn an_element_over_the_limit_is_passed_over() {
    let error = bad(format!("<strike><species>{}</species></strike>", "long <b/> <!-- </strike> -->".repeat(100_000)));
    assert_eq!(error.cause().to_string(), "record is longer than 1048576 bytes");
    assert!(error.raw().unwrap().len() < 5_000);
}

#[test]
fn a_tag_or_comment_over_the_limit_is_a_fault_however_it_is_read() {
    let text = b"<a><!-- comment --><strike/></a>";
    let pieces: Vec<u8> = text.chunks(3).flat_map(|piece| zstd::encode_all(piece, 1).unwrap()).collect();
    for bytes in [&text[..], &pieces] {
        let (_folder, path) = file(bytes);
        let mut reader = XmlReader::<String>::new(&path, "strike").max_element_bytes(15);
        block_on(async {
            reader.open(None).await.unwrap();
            let message = reader.read().await.unwrap_err().to_string();
            assert!(message.ends_with("line 1: a tag or comment is longer than 15 bytes"), "{message}");
        });
    }
}

#[test]
fn a_tag_or_comment_that_never_ends_takes_no_more_memory_than_the_limit() {
    let hole = vec![0; 8 * 1024 * 1024];
    for start in [&b"<a><!--"[..], b"<a b='", b"<strike><!--", b"<a><strike c='", b"<strike><b c='"] {
        let error = read([start, &hole].concat()).unwrap_err();
        assert!(error.to_string().contains("is longer than 1048576 bytes"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_markup_at_all_reads_the_same_with_any_restarts(
        pieces in vec(prop_oneof![
            1 => vec(any::<u8>(), 0..3), 2 => Just(b"\n".to_vec()), 2 => Just(b"<b>".to_vec()),
            2 => Just(b"</b>".to_vec()), 3 => Just(b"<s>".to_vec()), 3 => Just(b"</s>".to_vec()), 3 => Just(b"<s/>".to_vec()),
            1 => Just(b"<!-- <s> -->".to_vec()), 1 => Just(b"<![CDATA[</s>]]>".to_vec()), 3 => Just(b"text".to_vec()),
            1 => Just(b"<c d='>'>".to_vec()), 1 => Just(b"</c>".to_vec()), 1 => Just(b"&amp;&x;".to_vec()),
        ], 0..60),
        restarts in vec(any::<bool>(), 1..20),
        limit in prop_oneof![Just(10_u32), Just(1_000)],
    ) {
        let (_folder, path) = file([b"<a>", pieces.concat().as_slice(), b"</a>"].concat());
        let make = || XmlReader::<String>::new(&path, "s").max_element_bytes(limit);
        prop_assert_eq!(outcomes(make, &[false]).unwrap(), outcomes(make, &restarts).unwrap());
    }

    #[test]
    fn whole_documents_give_all_their_elements(texts in vec("[a-zß<>&'\" ]{0,12}", 0..20), restarts in vec(any::<bool>(), 1..9)) {
        let elements: Vec<_> = texts.iter().map(|text| {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            format!("<s t=\"{0}\"/>", text.replace('"', "&quot;"))
        }).collect();
        let (_folder, path) = file(format!("<a><b>{}</b></a>", elements.join("\n ")));
        #[derive(Debug, PartialEq, Deserialize)]
        struct S { #[serde(rename = "@t")] t: String }
        let read = outcomes(|| XmlReader::<S>::new(&path, "s"), &restarts).unwrap();
        let model: Vec<_> = texts.into_iter().map(|t| Ok(S { t })).collect();
        prop_assert_eq!(read, model);
    }
}
