//! Aligned tables of plain text.

use std::io::IsTerminal;

use crate::colour::{self, Ink, paint, paint_word};
use crate::error::CliError;
use crate::output;

/// Columns whose words have a colour.
const SAYS_HOW_IT_STANDS: [&str; 3] = ["STATUS", "STATE", "RESULT"];

/// The alignment of a column.
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

    /// The table as text, a line per row, without colours.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<String> {
        self.painted(false)
    }

    /// The table as text, a line per row.
    fn painted(&self, colours: bool) -> Vec<String> {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| {
            all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |(number, row): (usize, &&Vec<String>)| {
            let cells = row.iter().zip(&self.columns).zip(&widths).map(|((cell, (name, align)), width)| {
                let cell = match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
                // Painted when it has its width: the codes of a colour have none.
                match (number, SAYS_HOW_IT_STANDS.contains(name)) {
                    (0, _) => paint(&cell, Ink::Head, colours),
                    (_, true) => paint_word(&cell, colours),
                    _ => cell,
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        all.iter().enumerate().map(line).collect()
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) -> Result<(), CliError> {
        output::line(self.painted(colour::on_stdout()).join("\n"))
    }
}

/// Rows without a head, aligned by their columns: a line for each.
pub(crate) fn columns(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column).unwrap_or(0)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
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

    #[test]
    fn colours_change_no_width() {
        let mut table = Table::new([("STATUS", Align::Left), ("ID", Align::Right)]);
        table.row(["FAILED".into(), "1".into()]);
        table.row(["COMPLETED".into(), "22".into()]);
        assert_eq!(table.painted(true)[1], "\u{1b}[31mFAILED   \u{1b}[0m   1");
        let plain = |line: &String| {
            line.split('\u{1b}').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect::<String>()
        };
        let stripped: Vec<_> = table.painted(true).iter().map(|line| plain(line).trim_end().to_owned()).collect();
        assert_eq!(stripped, table.lines());
    }
}
