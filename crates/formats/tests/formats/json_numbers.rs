//! Numbers in JSON: none becomes another or `null` without a word, neither when it is read nor when it is written.
#![cfg(feature = "json")]

use std::collections::BTreeMap;

use oxbatch_core::execution::ExecutionContext;
use oxbatch_core::item::{ErrorKind, ItemError, ItemProcessor, ItemReader, ItemWriter};
use oxbatch_formats::{
    DistinctKey, DistinctProcessor, JsonArrayReader, JsonArrayWriter, JsonLinesReader, JsonLinesWriter,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::harness::{NoTransaction, block_on, end, write};

#[derive(Serialize)]
struct Reading {
    sensor: u32,
    at: Vec<Option<f64>>,
}

fn reading(sensor: u32, value: f64) -> Reading {
    Reading { sensor, at: vec![Some(1.5), None, Some(value)] }
}

/// Writes a good item, a bad one, which is rolled back as the engine does it, and another good one.
fn refused<W: ItemWriter<Reading>>(mut writer: W, value: f64) -> ItemError {
    block_on(async {
        writer.open(None).await.unwrap();
        write(&mut writer, &[reading(1, 1.0)]).await.unwrap();
        writer.committed();
        let bad = [reading(2, 2.0), reading(3, value)];
        let error = writer.write(&bad, &mut NoTransaction).await.unwrap_err();
        writer.rolled_back().await.unwrap();
        write(&mut writer, &[reading(4, 4.0)]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
        error
    })
}

#[test]
fn a_number_that_json_does_not_have_is_a_fault_of_its_item_in_every_json_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, array) = (folder.path().join("a.jsonl"), folder.path().join("a.json"));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for error in [
            refused(JsonLinesWriter::with_tag("1", &lines), value),
            refused(JsonArrayWriter::with_tag("1", &array), value),
        ] {
            let message = format!("output 2 of the chunk: 'at[2]': {value} is a number that JSON cannot hold");
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Validation, message), "a step can skip it");
        }
        let good = "{\"sensor\":1,\"at\":[1.5,null,1.0]}\n{\"sensor\":4,\"at\":[1.5,null,4.0]}\n";
        assert_eq!(std::fs::read_to_string(&lines).unwrap(), good);
        let array = std::fs::read_to_string(&array).unwrap();
        assert_eq!(array, format!("[\n{}]\n", good.replace("}\n{", "},\n{")));
    }
}

#[test]
fn nothing_else_that_is_kept_as_json_makes_nothing_of_a_number() {
    let mut context = ExecutionContext::default();
    assert!(context.put("rate", f64::NAN).is_err());
    assert!(context.put("rates", [0.5, f64::INFINITY]).is_err());
    assert!(context.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let key = |value: &f64, key: &mut DistinctKey| {
        key.push(value);
    };
    let mut distinct = DistinctProcessor::with_tag("1", folder.path().join("keys"), key);
    block_on(async {
        ItemProcessor::<f64>::open(&mut distinct, None).await.unwrap();
        assert_eq!(distinct.process(1.0).await.unwrap(), Some(1.0));
        let error = distinct.process(f64::NAN).await.unwrap_err();
        let message = "key: NaN is a number that JSON cannot hold";
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Validation, message));
    });
}

/// Reads a record with the number in its field `n`, between good ones, by both readers.
fn read<T: DeserializeOwned + Send>(record: &str) -> Result<T, ItemError> {
    let folder = tempfile::tempdir().unwrap();
    let (lines, array) = (folder.path().join("a.jsonl"), folder.path().join("a.json"));
    std::fs::write(&lines, format!("{record}\n{{\"n\":1}}\n")).unwrap();
    std::fs::write(&array, format!("[{record},{{\"n\":1}}]")).unwrap();
    let read = block_on(async {
        let mut reader = JsonLinesReader::<T>::new(&lines);
        reader.open(None).await.unwrap();
        let read = reader.read().await.transpose().unwrap();
        assert!(reader.read().await.unwrap().is_some(), "the position is behind it");
        read
    });
    let again = block_on(async {
        let mut reader = JsonArrayReader::<T>::new(&array);
        reader.open(None).await.unwrap();
        let read = reader.read().await.transpose().unwrap();
        assert!(reader.read().await.unwrap().is_some(), "the position is behind it");
        read
    });
    match (&read, &again) {
        (Ok(_), Ok(_)) => {}
        (Err(lines), Err(array)) => assert_eq!(lines.cause_text(), array.cause_text()),
        _ => panic!("the two readers differ over {record}"),
    }
    read
}

#[derive(Debug, Deserialize)]
struct Any {
    n: Value,
}

#[derive(Debug, Deserialize)]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

const TOO_LONG: [&str; 9] = [
    "123456789012345678901234567890",
    "-9223372036854775809",
    "18446744073709551616.5",
    "0.1234567890123456789",
    "12345678901234.56789012345",
    "1e-400",
    "-0.0000001E-320",
    "1.23456789e-320",
    "99999999999999999999",
];

#[test]
fn a_number_that_a_value_would_cut_is_a_fault_that_names_it() {
    for number in TOO_LONG {
        let error = read::<Any>(&format!("{{\"s\":\"1e-400\",\"n\":{number}}}")).expect_err(number);
        let message = format!(
            "'n': {number} has more digits than a 64-bit number holds; read it into a type that keeps them, such as serde_json's RawValue"
        );
        assert_eq!((error.kind(), error.cause_text()), (ErrorKind::Parse, message));
        assert_eq!(error.position(), Some("line 1, column 19"));
        let error = read::<Value>(&format!("{{\"a\":[1,{{\"b\":{number}}}]}}")).expect_err(number);
        assert!(error.cause_text().starts_with(&format!("'a[1].b': {number} has more digits")), "{error}");
        read::<Flat>(&format!("{{\"n\":{number}}}")).expect_err(number);
    }
}

#[test]
fn a_number_that_a_value_holds_is_read_and_written_again_as_the_same() {
    for number in [
        "0",
        "-0.0",
        "0.0",
        "0e-400",
        "0.1",
        "12345678901234567890",
        "18446744073709551615",
        "-9223372036854775808",
        "0.10000000000000001",
        "1e22",
        "100000000000000000000",
        "5e-324",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "12345678901.23400000000000000000000",
        "0.00000000000000000000000000012345",
        "3.0e-05",
    ] {
        let record = format!("{{\"s\":\"123456789012345678901234567890\",\"n\":{number}}}");
        let value = read::<Any>(&record).expect(number).n;
        let (text, double): (String, f64) = (value.to_string(), number.parse().unwrap());
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), double.to_bits(), "{number}");
        read::<Flat>(&record).expect(number).rest["n"].as_f64().unwrap();
    }
}

#[test]
fn a_type_that_keeps_or_asks_for_less_is_given_what_it_asks_for() {
    #[derive(Deserialize)]
    struct Raw {
        n: Box<RawValue>,
    }
    #[derive(Deserialize)]
    struct Long {
        n: i128,
    }
    #[derive(Deserialize)]
    struct Double {
        n: f64,
    }
    #[derive(Deserialize)]
    struct Single {
        n: Option<f32>,
    }
    #[derive(Deserialize)]
    struct Nothing {}
    for number in TOO_LONG {
        let record = format!("{{\"n\":{number}}}");
        assert_eq!(read::<Raw>(&record).unwrap().n.get(), number);
        read::<Nothing>(&record).unwrap();
    }
    assert_eq!(read::<Long>(&format!("{{\"n\":{}}}", TOO_LONG[0])).unwrap().n.to_string(), TOO_LONG[0]);
    assert_eq!(read::<Double>("{\"n\":0.1234567890123456789}").unwrap().n, 0.123_456_789_012_345_68);
    for (number, single) in [("1e-400", false), ("1e-60", true)] {
        let record = format!("{{\"n\":{number}}}");
        let message = format!("'n': {number} is too small for the type: it would be read as 0");
        if !single {
            assert_eq!(read::<Double>(&record).err().unwrap().cause_text(), message);
        }
        assert_eq!(read::<Single>(&record).err().unwrap().cause_text(), message);
    }
    assert!(read::<Single>("{\"n\":1e-40}").unwrap().n.unwrap() > 0.0);
}
