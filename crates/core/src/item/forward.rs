//! Methods of readers and writers around another one that leave everything to it, as macros: the types stay as their
//! authors see them, and a call costs nothing.

/// `files`, `origin` and `close` of a reader around another.
macro_rules! forward_source {
    ($this:ident => $reader:expr) => {
        fn files(&$this) -> Vec<std::path::PathBuf> {
            $reader.files()
        }

        fn origin(&$this) -> Option<$crate::item::Origin> {
            $reader.origin()
        }

        async fn close(&mut $this) -> Result<(), $crate::item::ItemError> {
            $reader.close().await
        }
    };
}

/// All methods of a reader around another, which is of a type `R`, but `read` and `read_now`.
macro_rules! forward_reader {
    ($this:ident => $reader:expr) => {
        async fn open(
            &mut $this,
            checkpoint: Option<&$crate::item::Checkpoint>,
        ) -> Result<(), $crate::item::ItemError> {
            $reader.open(checkpoint).await
        }

        fn checkpoint(&mut $this) -> Result<Option<$crate::item::Checkpoint>, $crate::item::ItemError> {
            $reader.checkpoint()
        }

        fn place_of(checkpoint: &$crate::item::Checkpoint) -> Option<$crate::item::Origin> {
            R::place_of(checkpoint)
        }

        fn progress(&$this) -> Option<f64> {
            $reader.progress()
        }

        $crate::item::forward::forward_source!($this => $reader);
    };
}

/// All methods of a writer around another but `write`.
macro_rules! forward_writer {
    ($this:ident => $writer:expr) => {
        fn inputs(&mut $this, files: &[std::path::PathBuf]) {
            $writer.inputs(files);
        }

        async fn open(
            &mut $this,
            checkpoint: Option<&$crate::item::Checkpoint>,
        ) -> Result<(), $crate::item::ItemError> {
            $writer.open(checkpoint).await
        }

        async fn flush(&mut $this) -> Result<Option<$crate::item::Checkpoint>, $crate::item::ItemError> {
            $writer.flush().await
        }

        async fn sync(&mut $this) -> Result<(), $crate::item::ItemError> {
            $writer.sync().await
        }

        fn can_roll_back(&$this) -> bool {
            $writer.can_roll_back()
        }

        fn save_interval(&$this) -> Option<std::time::Duration> {
            $writer.save_interval()
        }

        fn joins_transactions(&$this) -> bool {
            $writer.joins_transactions()
        }

        fn committed(&mut $this) {
            $writer.committed();
        }

        async fn rolled_back(&mut $this) -> Result<(), $crate::item::ItemError> {
            $writer.rolled_back().await
        }

        async fn finish(
            &mut $this,
            transaction: &mut dyn $crate::repository::ChunkTransaction,
        ) -> Result<(), $crate::item::ItemError> {
            $writer.finish(transaction).await
        }

        async fn publish(&mut $this) -> Result<(), $crate::item::ItemError> {
            $writer.publish().await
        }

        async fn publish_copy(&mut $this) -> Result<(), $crate::item::ItemError> {
            $writer.publish_copy().await
        }

        async fn close(&mut $this) -> Result<(), $crate::item::ItemError> {
            $writer.close().await
        }
    };
}

pub(crate) use {forward_reader, forward_source, forward_writer};
