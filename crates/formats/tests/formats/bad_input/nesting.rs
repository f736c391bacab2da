//! Input that could lead a parser astray: nesting without end, entities.

use oxbatch_core::item::{ErrorKind, ItemError, ItemReader};
use oxbatch_formats::{JsonArrayReader, JsonLinesReader, XmlReader};
use serde::Deserialize;

use super::{Bird, Format, Packing, file, read_text};
use crate::harness::block_on;

/// A type that calls itself for each level of its input.
#[derive(Debug, Deserialize)]
struct Nest {
    #[serde(default)]
    #[expect(dead_code, reason = "only read")]
    nest: Vec<Nest>,
}

#[test]
fn nesting_without_end_is_a_fault_and_no_overflow() {
    let levels = 60_000;
    let json = "{\"nest\":[".repeat(levels) + &"]}".repeat(levels);
    let xml = "<nest>".repeat(levels) + &"</nest>".repeat(levels);
    let fault = |error: ItemError, place: &str, problem: &str| {
        assert_eq!((error.kind(), error.position()), (ErrorKind::Parse, Some(place)), "{error}");
        assert!(error.cause_text().contains(problem), "{error}");
    };
    block_on(async {
        let (_folder, path) = file(json.as_bytes());
        let mut reader = JsonLinesReader::<Nest>::new(&path);
        reader.open(None).await.unwrap();
        fault(reader.read().await.unwrap_err(), "line 1, column 576", "recursion limit exceeded");
        assert!(reader.read().await.unwrap().is_none());
        let (_folder, path) = file(format!("[{json}]").as_bytes());
        let mut reader = JsonArrayReader::<Nest>::new(&path);
        reader.open(None).await.unwrap();
        fault(reader.read().await.unwrap_err(), "line 1, element 1, column 576", "recursion limit exceeded");
        assert!(reader.read().await.unwrap().is_none());
        let (_folder, path) = file(format!("<a>{xml}</a>").as_bytes());
        let mut reader = XmlReader::<Nest>::new(&path, "nest");
        reader.open(None).await.unwrap();
        fault(reader.read().await.unwrap_err(), "line 1, element 1", "recursion limit of 128 exceeded");
        assert!(reader.read().await.unwrap().is_none());
    });
}

#[test]
fn entities_of_xml_are_never_resolved_nor_expanded() {
    let (_secret_folder, secret) = file(b"secret");
    let external = format!("<!ENTITY e SYSTEM \"file://{}\">", secret.display());
    let laughs: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let parameter = format!("<!ENTITY % e SYSTEM \"file://{}\">%e;", secret.display());
    let bird = |name: &str| format!("<bird><id>1</id><name>{name}</name></bird>");
    for (declarations, name) in
        [(external.as_str(), "&e;"), (&format!("<!ENTITY l0 \"lol\">{laughs}"), "&l9;"), (&parameter, "&e;")]
    {
        let birds = bird(name) + &bird("x");
        let text = format!("<?xml version=\"1.0\"?>\n<!DOCTYPE birds [\n{declarations}]>\n<birds>{birds}</birds>");
        let attempt = read_text(Format::Xml, Packing::Plain, text.as_bytes());
        assert_eq!(attempt.birds, [Bird { id: 1, name: "x".to_owned() }]);
        assert_eq!(attempt.end().kind(), ErrorKind::Parse);
        let message = attempt.end().to_string();
        assert!(message.contains("unrecognized entity") && message.len() < 1_000, "{message}");
    }
    // Without its own declaration, or with one in a file that nobody opens, an entity is unknown.
    for declaration in ["".to_owned(), format!("<!DOCTYPE birds SYSTEM \"file://{}\">\n", secret.display())] {
        for name in ["&e;", "&#0;", "&#x110000;", "&lt"] {
            let text = format!("{declaration}<birds>{}{}</birds>", bird(name), bird("&lt;&#233;"));
            let attempt = read_text(Format::Xml, Packing::Plain, text.as_bytes());
            assert_eq!(attempt.birds, [Bird { id: 1, name: "<é".to_owned() }], "{name}");
            assert_eq!(attempt.end().kind(), ErrorKind::Parse, "{name}");
        }
    }
}
