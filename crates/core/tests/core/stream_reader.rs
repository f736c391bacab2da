//! `StreamReader`: the author's stream, its errors and its restarts.

use futures_util::stream;
use oxbatch_core::ItemReader;
use oxbatch_core::item::{Checkpoint, ErrorKind, ItemError, StreamReader};

use crate::harness::{block_on, read_all};

#[test]
fn a_transient_fault_stands_for_no_item() {
    let make = || StreamReader::new(stream::iter([Ok(1), Err(ItemError::transient("line is busy")), Ok(2), Ok(3)]));
    let mut reader = make();
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(1));
        assert_eq!(reader.read().await.unwrap_err().kind(), ErrorKind::Transient);
        assert_eq!(reader.checkpoint().unwrap().unwrap().as_json(), "1");
        assert_eq!(read_all(&mut reader).await.unwrap(), [2, 3]);
    });
}

#[test]
fn a_stream_that_is_shorter_than_its_checkpoint_is_told() {
    let mut reader = StreamReader::new(stream::iter([Ok(1), Ok(2)]));
    let message = block_on(reader.open(Some(&Checkpoint::new(&3).unwrap()))).unwrap_err().to_string();
    assert_eq!(message, "checkpoint is behind item 3, but the stream ended after 2 items");
}

#[test]
fn a_stream_that_can_seek_is_told_where_to_begin() {
    let mut reader = StreamReader::starting_at(|done| {
        assert_eq!(done, 2, "nothing is read to be thrown away");
        stream::iter((done..4).map(Ok))
    });
    block_on(async {
        reader.open(Some(&Checkpoint::new(&2).unwrap())).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), [2, 3]);
        assert_eq!(reader.checkpoint().unwrap().unwrap().as_json(), "4");
    });
}
