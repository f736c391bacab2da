//! `FixedWidthWriter` and `XmlWriter`: what they write, what they refuse, and that no death changes it.
#![cfg(all(feature = "fixed-width", feature = "xml"))]

use std::collections::BTreeMap;
use std::path::Path;

use oxbatch_core::item::{ItemReader, ItemWriter};
use oxbatch_formats::{Align, FixedWidthReader, FixedWidthWriter, XmlWriter};
use proptest::prelude::*;
use serde::Serialize;

use crate::harness::{block_on, end, names, read_all, write};
use crate::writer_harness::{Row, plan, rows, write_all};

#[derive(Debug, Clone, Serialize)]
struct Strike {
    #[serde(rename = "@id")]
    id: i32,
    species: &'static str,
    speed: Option<f32>,
}

const GULL: Strike = Strike { id: -7, species: "Möwe <&> \"x\"", speed: Some(1.5) };
const HAWK: Strike = Strike { id: 12, species: "", speed: None };

fn fixed<T>(path: &Path) -> FixedWidthWriter<T> {
    FixedWidthWriter::with_tag("1-Export", path)
        .column("species", 14, Align::Left)
        .padded_column("@id", 4, Align::Right, '0')
        .column("speed", 4, Align::Right)
}

async fn written<T: Send + Sync, W: ItemWriter<T>>(mut writer: W, items: &[T]) -> String {
    writer.open(None).await.unwrap();
    match write(&mut writer, items).await {
        Ok(_) => {
            writer.committed();
            end(&mut writer).await.unwrap();
            String::new()
        }
        Err(error) => {
            writer.rolled_back().await.unwrap();
            error.to_string()
        }
    }
}

#[test]
fn columns_have_their_width_whatever_the_order_of_the_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/a.txt");
    let fault = block_on(written(fixed(&path), &[GULL, HAWK]));
    assert_eq!(fault, "");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Möwe <&> \"x\"  -007 1.5\n              0012    \n");
    let map = BTreeMap::from([("@id", "a"), ("species", "b"), ("speed", "c")]);
    block_on(written(fixed(&path).footer(|file| format!("{} items\n", file.items)), &[map]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "b             000a   c\n1 items\n");
    block_on(written(fixed::<Strike>(&path), &[]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn a_value_that_does_not_fit_is_told_with_column_and_item_and_never_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    let part = folder.path().join("a.txt.1-Export.part");
    for (item, problem) in [
        (Strike { id: 12_345, ..HAWK }, "column '@id': value \"12345\" has 5 characters, but the column has 4"),
        (Strike { species: "a\nb", ..HAWK }, "column 'species': value \"a\\nb\" holds the end of a line"),
    ] {
        let fault = block_on(written(fixed(&path), &[GULL, item]));
        assert_eq!(fault, format!("output 2 of the chunk: {problem}"));
        assert_eq!(std::fs::read_to_string(&part).unwrap(), "");
    }
    let fault = block_on(written(fixed(&path).column("more", 1, Align::Left), &[GULL]));
    assert_eq!(fault, "output 1 of the chunk: column 'more' has no field in this item");
    fn few<T>(path: &Path) -> FixedWidthWriter<T> {
        FixedWidthWriter::with_tag("1", path).column("@id", 4, Align::Left)
    }
    assert_eq!(block_on(written(few(&path), &[GULL])), "output 1 of the chunk: field 'species' has no column");
    let fault = block_on(written(few(&path), &[5]));
    assert!(fault.contains("item has no fields with names"), "{fault}");
    let fault = block_on(written(few(&path), &[BTreeMap::from([("@id", [1, 2])])]));
    assert_eq!(fault, "output 1 of the chunk: column '@id': field is not a single value");
}

#[test]
fn settings_that_make_no_whole_are_told_before_a_file_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let open = |mut writer: FixedWidthWriter<u32>| block_on(writer.open(None)).unwrap_err().to_string();
    assert_eq!(open(FixedWidthWriter::with_tag("1", &path)), "fixed-width output has no columns");
    assert_eq!(open(fixed(&path).column("speed", 1, Align::Left)), "column 'speed' is named twice");
    assert_eq!(open(fixed(&path).column("x", 0, Align::Left)), "column 'x' has a width of 0");
    for name in ["", "a b", "1a", "a>"] {
        let mut writer = XmlWriter::<u32>::with_tag("1", &path).elements("items", name);
        let message = block_on(writer.open(None)).unwrap_err().to_string();
        assert_eq!(message, format!("'{name}' cannot be the name of an XML element"));
    }
    assert_eq!(names(folder.path()).len(), 0);
}

#[test]
fn xml_is_one_root_with_escaped_elements_and_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/a.xml");
    let make = || XmlWriter::with_tag("1", &path).elements("strikes", "strike");
    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<strikes>\n";
    block_on(written::<Strike, _>(make(), &[]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEAD}</strikes>\n"));
    let hooked =
        make().header(|_| "<!-- all -->\n".to_owned()).footer(|file| format!("<count>{}</count>\n", file.items));
    block_on(written(hooked, &[GULL, HAWK]));
    let expected = "<!-- all -->\n\
        <strike id=\"-7\"><species>Möwe &lt;&amp;&gt; \"x\"</species><speed>1.5</speed></strike>\n\
        <strike id=\"12\"><species/></strike>\n\
        <count>2</count>\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEAD}{expected}</strikes>\n"));
    for text in ["a\0", "\u{b}", "\u{ffff}"] {
        let code = u32::from(text.chars().last().unwrap());
        let fault = block_on(written(make(), &[Strike { species: text, ..HAWK }]));
        assert_eq!(fault, format!("output 1 of the chunk: character U+{code:04X} cannot stand in XML"));
    }
}

#[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
struct Document {
    #[serde(rename = "item", default)]
    items: Vec<Element>,
}

#[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
struct Element {
    text: Option<String>,
    number: Option<String>,
}

proptest! {
    #[test]
    fn xml_holds_the_rows_whenever_the_process_dies(rows in rows(false), plan in plan()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xml");
        block_on(write_all(|| XmlWriter::with_tag("1", &path), folder.path(), &rows, &plan));
        let read: Document = quick_xml::de::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let read: Vec<_> = read.items.into_iter().map(|element| {
            (element.text.unwrap_or_default(), element.number.unwrap_or_default())
        }).collect();
        let model: Vec<_> = rows.iter().map(|row| {
            (row.text.clone(), row.number.map(|number| number.to_string()).unwrap_or_default())
        }).collect();
        prop_assert_eq!(read, model);
        prop_assert_eq!(names(folder.path()), ["a.xml"]);
    }

    #[test]
    fn fixed_width_holds_the_rows_whenever_the_process_dies(rows in rows(true), plan in plan()) {
        let rows: Vec<Row> = rows.into_iter().map(|row| Row { text: row.text.replace(['\n', '\r'], "_"), ..row }).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let make = || FixedWidthWriter::with_tag("1", &path)
            .padded_column("text", 20, Align::Left, '~').padded_column("number", 20, Align::Right, '~');
        block_on(write_all(make, folder.path(), &rows, &plan));
        let mut reader = FixedWidthReader::<(String, String)>::new(&path).column("text", 0..20).column("number", 20..40);
        let read = block_on(async {
            reader.open(None).await.unwrap();
            read_all(&mut reader).await.unwrap()
        });
        let read: Vec<_> = read.into_iter().map(|(text, number)| {
            (text.trim_end_matches('~').to_owned(), number.trim_start_matches('~').to_owned())
        }).collect();
        let model: Vec<_> = rows.iter().map(|row| {
            (row.text.clone(), row.number.map(|number| number.to_string()).unwrap_or_default())
        }).collect();
        prop_assert_eq!(read, model);
    }
}
