//! `XmlReader` and `XmlWriter` with the documents that others make: declarations, namespaces, several elements,
//! nothing.
#![cfg(feature = "xml")]

use oxbatch_core::item::{ErrorKind, ItemError, ItemReader, ItemWriter};
use oxbatch_formats::{XmlReader, XmlWriter};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::harness::{NoTransaction, block_on, end, outcomes, read_all, write};

fn with_file<T>(text: &str, run: impl FnOnce(&std::path::Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    std::fs::write(&path, text).unwrap();
    run(&path)
}

fn read<T: DeserializeOwned + Send>(text: &str) -> Result<Vec<T>, ItemError> {
    with_file(text, |path| {
        block_on(async {
            let mut reader = XmlReader::<T>::new(path, "s");
            reader.open(None).await?;
            read_all(&mut reader).await
        })
    })
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    #[serde(rename = "@id")]
    id: Option<u32>,
    n: Option<u32>,
    t: Option<String>,
    d: Option<f64>,
    #[serde(default)]
    list: Vec<String>,
}

#[test]
fn nothing_reads_back_as_nothing() {
    let rows = [
        Row::default(),
        Row {
            id: Some(1),
            n: Some(2),
            t: Some(String::new()),
            d: Some(1.5),
            list: vec!["a".to_owned(), String::new()],
        },
        Row { t: Some("x".to_owned()), ..Row::default() },
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    let read = block_on(async {
        let mut writer = XmlWriter::with_tag("1", &path).elements("rows", "s");
        writer.open(None).await.unwrap();
        write(&mut writer, &rows).await.unwrap();
        end(&mut writer).await.unwrap();
        let mut reader = XmlReader::<Row>::new(&path, "s");
        reader.open(None).await.unwrap();
        read_all(&mut reader).await.unwrap()
    });
    assert_eq!(read, rows);
    assert!(std::fs::read_to_string(&path).unwrap().contains("\n<s/>\n"));
}

#[test]
fn nothing_within_a_list_is_a_fault_of_its_item() {
    #[derive(Serialize)]
    struct Lists {
        list: Vec<Option<u32>>,
    }
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut writer = XmlWriter::with_tag("1", folder.path().join("a.xml"));
        writer.open(None).await.unwrap();
        let items = [Lists { list: vec![Some(1)] }, Lists { list: vec![Some(1), None] }];
        let error = writer.write(&items, &mut NoTransaction).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        let message = "output 2 of the chunk: nothing (`None`) cannot stand in a list";
        assert_eq!(error.to_string(), message);
    });
}

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

#[test]
fn an_element_that_is_nil_is_nothing_wherever_its_prefix_is_declared() {
    for text in [
        format!("<a xmlns:xsi='{XSI}'><s><n xsi:nil='true'/></s><s><n xsi:nil='false'>7</n></s></a>"),
        format!("<a xmlns:i=\"{XSI}\" ><b xmlns='urn:x' c='d'><s><n i:nil=\"1\" /></s></b><b><s><n>7</n></s></b></a>"),
        format!("<a><s xmlns:xsi='{XSI}'><n xsi:nil='true'></n></s><s><n>7</n></s></a>"),
        format!(
            "<a xmlns:x='urn:y'><b\n\txmlns:x\t=\n'{XSI}'><s><n x:nil='true'/></s></b><s><n x:nil='true'>7</n></s></a>"
        ),
    ] {
        with_file(&text, |path| {
            for restarts in [[false], [true]] {
                let rows = outcomes(|| XmlReader::<Row>::new(path, "s"), &restarts).unwrap();
                assert_eq!(rows, [Ok(Row::default()), Ok(Row { n: Some(7), ..Row::default() })], "{text}");
            }
        });
    }
    read::<Row>("<a xmlns:x='urn:y'><s><n x:nil='true'/></s></a>").expect_err("not that nil");
    read::<Row>(&format!("<a><b xmlns:x='{XSI}'/><s><n x:nil='true'/></s></a>")).expect_err("not declared there");
}

const DECLARATIONS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE a [
  <!-- It's "not" ]> the end -->
  <!ELEMENT a (s*)> <!ATTLIST s id CDATA "]>" x CDATA '<>'>
  <!ENTITY e "expanded ]]>"> <!ENTITY % p SYSTEM "file:///etc/passwd"> %p;
  <!ENTITY big "&e;&e;"> <?pi ]> ' ?>
  <!NOTATION n PUBLIC "a'b">
] >
<a>"#;

#[test]
fn declarations_within_a_document_are_passed_over_and_none_is_used() {
    let text = format!("{DECLARATIONS}<s><t>x</t></s><s><t>&e;</t></s><s><t>&big;</t></s><s id='1'/></a>");
    with_file(&text, |path| {
        for restarts in [[false], [true]] {
            let rows = outcomes(|| XmlReader::<Row>::new(path, "s"), &restarts).unwrap();
            assert_eq!(rows.len(), 4);
            assert_eq!(rows[0].as_ref().unwrap().t.as_deref(), Some("x"));
            for (row, name) in [(&rows[1], "e"), (&rows[2], "big")] {
                let error = row.as_ref().unwrap_err();
                assert!(error.contains("unrecognized entity") && error.contains(name), "{error}");
            }
            assert_eq!(rows[3], Ok(Row { id: Some(1), ..Row::default() }), "{text}");
        }
    });
    for (text, problem) in [
        ("<!DOCTYPE a [ <!ENTITY e 'x> ]><a/>", "the file ends within a tag or comment"),
        ("<!DOCTYPE a [ <!-- ]><a/>", "the file ends within a tag or comment"),
        ("<!DOCTYPE a><!DOCTYPE a><a/>", "a second document type declaration"),
        ("<a><!DOCTYPE a></a>", "a document type declaration stands behind the start of the root element"),
    ] {
        let error = read::<Row>(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn declarations_without_end_take_no_more_memory_than_the_limit() {
    let many = "<!ENTITY e 'x'>".repeat(100_000);
    for text in [format!("<!DOCTYPE a [{many}"), format!("<!DOCTYPE a [{many}]><a/>")] {
        let error = read::<Row>(&text).unwrap_err().to_string();
        assert!(error.contains("a tag or comment is longer than 1048576 bytes"), "{error}");
    }
}

#[test]
fn elements_of_a_list_need_not_follow_each_other() {
    let text = "<a><s><list>a</list><n>1</n><list>b</list><t>x</t><list>c</list></s></a>";
    let row = Row {
        n: Some(1),
        t: Some("x".to_owned()),
        list: ["a", "b", "c"].map(str::to_owned).to_vec(),
        ..Row::default()
    };
    assert_eq!(read::<Row>(text).unwrap(), [row]);
    let error = read::<Row>("<a><s><n>1</n><n>2</n></s></a>").unwrap_err().to_string();
    assert!(error.contains("duplicate field `n`"), "{error}");
}

#[test]
fn the_encoding_is_seen_whatever_blanks_stand_around_it() {
    for declaration in [
        "<?xml\tversion='1.0'\tencoding='ISO-8859-1'?>",
        "<?xml version='1.0'\nencoding\n=\n\"ISO-8859-1\"\n?>",
        "<?xml version=\"1.0\" encoding='ISO-8859-1' standalone='yes'?>",
    ] {
        let error = read::<Row>(&format!("{declaration}<a/>")).unwrap_err().to_string();
        assert!(
            error.contains("encoding 'ISO-8859-1' is not read; convert the file to UTF-8, or read it with `.encoding("),
            "{declaration}: {error}"
        );
    }
    for declaration in
        ["<?xml\tversion='1.0'\tencoding='utf-8'?>", "<?xml version='1.0'?>", "<?xml-model encoding='x'?>"]
    {
        assert_eq!(read::<Row>(&format!("{declaration}<a/>")).unwrap(), []);
    }
}
