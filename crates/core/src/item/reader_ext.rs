//! `ItemReaderExt`: short ways from a reader to one around it.

use super::{ItemReader, MapReader, NumberedReader, TakeReader};

/// Readers around a reader, one call each.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, ItemReaderExt, ListReader};
///
/// let step = ChunkStep::builder("Print")
///     .reader(|_| ListReader::new(["a", "b", "c"]).take(2).map(str::to_uppercase).numbered())
///     .writer(|_| FunctionWriter::new(|chunk: &[(u64, String)]| {
///         println!("{chunk:?}");
///         Ok(())
///     }));
/// # let job = oxbatch::Job::builder("Letters").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
pub trait ItemReaderExt: ItemReader + Sized {
    /// Makes something else of each item before anything else sees it.
    fn map<T, F>(self, function: F) -> MapReader<Self, F>
    where
        F: FnMut(Self::Item) -> T + Send,
        T: Send,
    {
        MapReader::new(self, function)
    }

    /// Reads so many items at most, counted through restarts. An item that cannot be read counts too.
    fn take(self, items: u64) -> TakeReader<Self> {
        TakeReader::new(self, items)
    }

    /// Gives each item its number from 1, counted through restarts. An item that cannot be read has a number too.
    fn numbered(self) -> NumberedReader<Self> {
        NumberedReader::new(self)
    }
}

impl<R: ItemReader> ItemReaderExt for R {}

#[cfg(test)]
mod tests {
    use super::super::{ChainReader, Checkpoint, ErrorKind, ItemError, ListReader, StreamReader};
    use super::*;
    use futures_util::stream;

    /// Reads on to the end, and tells what it met; `?` stands for an item that cannot be read.
    async fn rest<R: ItemReader<Item: std::fmt::Debug>>(reader: &mut R) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match reader.read().await {
                Ok(Some(item)) => seen.push(format!("{item:?}")),
                Ok(None) => return seen,
                Err(error) if error.kind() == ErrorKind::Transient => seen.push("again".to_owned()),
                Err(_) => seen.push("?".to_owned()),
            }
        }
    }

    /// Reads from the start, and from each checkpoint on the way: the rest must be the same.
    async fn resumes<R: ItemReader<Item: std::fmt::Debug>>(make: impl Fn() -> R, expected: &[&str]) {
        let mut reader = make();
        reader.open(None).await.unwrap();
        for read in 0..=expected.len() {
            let checkpoint = reader.checkpoint().unwrap().unwrap();
            let mut resumed = make();
            resumed.open(Some(&checkpoint)).await.unwrap();
            assert_eq!(rest(&mut resumed).await, expected[read..], "behind {read}, from {checkpoint:?}");
            let _ = reader.read().await;
        }
    }

    fn faulty() -> impl ItemReader<Item = u32> {
        let items = [Ok(1), Err(ItemError::parse("bad")), Ok(3), Ok(4)];
        StreamReader::new(stream::iter(items))
    }

    #[tokio::test]
    async fn what_is_taken_and_numbered_is_counted_through_restarts_with_what_cannot_be_read() {
        resumes(|| faulty().take(3), &["1", "?", "3"]).await;
        resumes(|| faulty().numbered(), &["(1, 1)", "?", "(3, 3)", "(4, 4)"]).await;
        resumes(|| ListReader::new(1..=5).take(3), &["1", "2", "3"]).await;
        resumes(|| ListReader::new(1..=2).take(3), &["1", "2"]).await;
        resumes(|| faulty().map(|number| number * 2), &["2", "?", "6", "8"]).await;
        resumes(|| ListReader::new([7]).take(0), &[]).await;
    }

    #[tokio::test]
    async fn a_transient_error_is_no_item() {
        let items = [Err(ItemError::transient("later")), Ok(1), Ok(2)];
        let mut reader = StreamReader::new(stream::iter(items)).take(1).numbered();
        assert_eq!(rest(&mut reader).await, ["again", "(1, 1)"]);
    }

    fn chain(names: &[&str]) -> ChainReader<ListReader<u32>> {
        let lists = [vec![1, 2], vec![], vec![3]];
        let named = names.iter().zip(lists);
        named.fold(ChainReader::new(), |chain, (name, list)| chain.then(*name, ListReader::new(list)))
    }

    #[tokio::test]
    async fn a_chain_goes_on_in_the_reader_that_its_checkpoint_names() {
        resumes(|| chain(&["a", "b", "c"]), &["1", "2", "3"]).await;
        let mut reader = chain(&["a", "b", "c"]);
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        let checkpoint = reader.checkpoint().unwrap().unwrap();
        assert_eq!(checkpoint.as_json(), r#"{"done":[],"reader":["a",1]}"#);
        rest(&mut reader).await;
        let at_end = reader.checkpoint().unwrap().unwrap();
        assert_eq!(at_end.as_json(), r#"{"done":["a","b","c"],"reader":null}"#);
    }

    #[tokio::test]
    async fn a_chain_of_other_readers_than_before_is_refused() {
        let at = |json: &str| Checkpoint::new(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap();
        let refused =
            async |names: &[&str], json: &str| chain(names).open(Some(&at(json))).await.unwrap_err().to_string();
        let other = refused(&["a", "x"], r#"{"done":["a"],"reader":["b",0]}"#).await;
        assert_eq!(
            other,
            "reader 2 of the chain was 'b' in the last attempt and is 'x' now; launch with force to start anew"
        );
        let fewer = refused(&["a"], r#"{"done":["a","b"],"reader":null}"#).await;
        assert!(fewer.contains("was 'b' in the last attempt and is none now"), "{fewer}");
        let twice = chain(&["a", "a"]).open(None).await.unwrap_err().to_string();
        assert_eq!(twice, "two readers of a chain have the name 'a'");
    }
}
