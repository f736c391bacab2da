//! Long lists by name: found by a text, and shown a page at a time.

use super::form::Form;

/// Rows of a page.
const ROWS: usize = 100;

/// A page of a list by name.
#[derive(Debug)]
pub(super) struct Names<T> {
    pub(super) rows: Vec<T>,
    /// The text that is looked for.
    pub(super) text: String,
    /// The number of rows that fit, on all pages.
    pub(super) found: usize,
    /// The query of the next page.
    pub(super) next: Option<String>,
    /// It begins with the first row that fits.
    pub(super) is_first: bool,
}

impl<T> Names<T> {
    /// The page that a form asks for, of rows in the order of their names: `text` in a name or in what else is told of
    /// it, `from` a name.
    pub(super) fn of(rows: impl Iterator<Item = T>, form: &Form, told: impl Fn(&T) -> [&str; 2]) -> Self {
        let text = form.get("text").unwrap_or_default().to_owned();
        let wanted = text.to_lowercase();
        let fits = |row: &T| wanted.is_empty() || told(row).iter().any(|part| part.to_lowercase().contains(&wanted));
        let mut fitting: Vec<T> = rows.filter(fits).collect();
        let found = fitting.len();
        let from = form.get("from");
        let first = from.map_or(0, |from| fitting.iter().position(|row| told(row)[0] >= from).unwrap_or(found));
        let mut rows = fitting.split_off(first);
        let next = rows.get(ROWS).map(|row| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs([("text", text.as_str())].into_iter().filter(|(_, text)| !text.is_empty()));
            query.append_pair("from", told(row)[0]).finish()
        });
        rows.truncate(ROWS);
        Self { rows, text, found, next, is_first: first == 0 }
    }

    /// There is a reason to search, or to turn a page.
    pub(super) fn is_long(&self) -> bool {
        self.next.is_some() || !self.is_first || !self.text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_shown_by_pages_and_searched() {
        let all: Vec<String> = (0..250).map(|n| format!("Job & {n:03}")).collect();
        let page =
            |query: &str| Names::of(all.iter(), &Form::of_query(Some(query)), |name| [name.as_str(), "of 1 day"]);
        let first = page("");
        assert_eq!((first.rows.len(), first.found, first.is_first, first.is_long()), (100, 250, true, true));
        let second = page(&first.next.unwrap());
        assert_eq!((second.rows[0].as_str(), second.is_first), ("Job & 100", false));
        let last = page(&second.next.unwrap());
        assert_eq!((last.rows.len(), last.next), (50, None));
        assert_eq!(page("text=JOB+%26+24").rows.len(), 10);
        assert_eq!((page("text=day").found, page("text=none").rows.len(), page("from=Z").rows.len()), (250, 0, 0));
    }
}
