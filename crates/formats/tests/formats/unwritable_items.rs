//! Items that cannot be written: errors of the item, which a policy may skip, and never a line that is read as a
//! comment.

use std::collections::BTreeMap;
use std::path::Path;

use oxbatch_core::item::{ErrorKind, ItemError, ItemWriter};
use oxbatch_formats::{Align, CsvReader, CsvWriter, FixedWidthReader, FixedWidthWriter};

use crate::harness::{block_on, end, read_all, write};

async fn refused<T: Send + Sync, W: ItemWriter<T>>(mut writer: W, items: &[T]) -> ItemError {
    writer.open(None).await.unwrap();
    let error = write(&mut writer, items).await.unwrap_err();
    writer.rolled_back().await.unwrap();
    error
}

fn fixed<T>(path: &Path) -> FixedWidthWriter<T> {
    FixedWidthWriter::with_tag("1", path).column("a", 2, Align::Left)
}

fn csv<T>(path: &Path) -> CsvWriter<T> {
    CsvWriter::with_tag("1", path)
}

#[test]
fn an_item_that_cannot_be_written_is_an_error_of_the_item() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    let kind = |error: ItemError| (error.kind(), error.to_string());
    block_on(async {
        let wide = refused(fixed(&path), &[BTreeMap::from([("a", "abc")])]).await;
        assert_eq!(kind(wide).0, ErrorKind::Validation);
        let other = refused(fixed(&path), &[BTreeMap::from([("b", "ab")])]).await;
        assert_eq!(kind(other).0, ErrorKind::Validation);
        // No item of such a type can be written.
        assert_eq!(kind(refused(fixed(&path), &[1]).await).0, ErrorKind::Other);

        let ragged = refused(csv(&path), &[vec![1], vec![1, 2]]).await;
        assert_eq!(
            kind(ragged),
            (
                ErrorKind::Validation,
                "output 2 of the chunk: record has 2 fields, but the records before it have 1".to_owned()
            )
        );
        let within = refused(csv(&path).headers(["a"]), &[BTreeMap::from([("b", 1)])]).await;
        assert_eq!(kind(within).0, ErrorKind::Validation);
        let map = refused(csv(&path), &[BTreeMap::from([("b", 1)])]).await;
        assert_eq!(kind(map).0, ErrorKind::Other, "the columns are a setting");
    });
}

#[test]
fn no_record_is_read_as_a_comment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let rows = [("#a".to_owned(), "#".to_owned()), ("a#".to_owned(), "b".to_owned())];
    block_on(async {
        let mut writer = CsvWriter::with_tag("1", &path).comment(b'#').header(|_| "# made by hand\n".to_owned());
        writer.open(None).await.unwrap();
        write(&mut writer, &rows).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# made by hand\n\"#a\",\"#\"\n\"a#\",b\n");
        let mut reader = CsvReader::<(String, String)>::new(&path).without_headers().comment(b'#');
        oxbatch_core::ItemReader::open(&mut reader, None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), rows);

        let path = folder.path().join("a.txt");
        let commented = || FixedWidthWriter::with_tag("1", &path).column("a", 3, Align::Left).comment("//");
        let error = refused(commented(), &[BTreeMap::from([("a", "//")])]).await;
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().ends_with("line begins with '//', as comments do"), "{error}");
        let mut writer = commented().header(|_| "// by hand\n".to_owned());
        writer.open(None).await.unwrap();
        write(&mut writer, &[BTreeMap::from([("a", "/ /")])]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
        let mut reader = FixedWidthReader::<(String,)>::new(&path).column("a", 0..3).comment("//");
        oxbatch_core::ItemReader::open(&mut reader, None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), [("/ /".to_owned(),)]);
    });
}
