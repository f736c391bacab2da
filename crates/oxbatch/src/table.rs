//! Aligned tables of plain text.

use std::io::IsTerminal;

use crate::error::CliError;
use crate::output;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a head; columns are as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; a cell has one line, and nothing in it controls the terminal.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let one_line = |cell: String| output::one_line(&cell.replace(['\n', '\r', '\t'], " "));
        self.rows.push(cells.into_iter().map(one_line).collect());
    }

    /// The table as text, a line per row.
    pub(crate) fn lines(&self) -> Vec<String> {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| {
            all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &&Vec<String>| {
            let cells = row.iter().zip(&self.columns).zip(&widths).map(|((cell, (_, align)), width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        all.iter().map(line).collect()
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) -> Result<(), CliError> {
        output::line(self.lines().join("\n"))
    }
}

/// Cuts a text to a number of characters where a person reads it; a program behind a pipe gets all of it.
pub(crate) fn shorten(text: &str, characters: usize) -> String {
    if !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_cells_have_one_line() {
        let mut table = Table::new([("ID", Align::Right), ("NAME", Align::Left), ("NOTE", Align::Left)]);
        table.row(["1".into(), "Müller".into(), "a\nb".into()]);
        table.row(["100".into(), "x".into(), String::new()]);
        assert_eq!(table.lines(), [" ID  NAME    NOTE", "  1  Müller  a b", "100  x"]);
    }
}
