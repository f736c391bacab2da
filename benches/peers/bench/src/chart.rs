//! A chart of what was measured: a group of bars for each work, the longest of which is the fastest program.

use std::fmt::Write;
use std::path::Path;

use peer_trades::BoxError;

use crate::table::short;

const WIDTH: f64 = 860.0;
/// Where the bars begin: the names of the programs stand before them.
const LEFT: f64 = 300.0;
const LONGEST: f64 = 380.0;
const LINE: f64 = 24.0;
const TITLE: f64 = 36.0;

/// Programs that did the same work.
struct Group {
    title: String,
    bars: Vec<Bar>,
}

pub(crate) struct Bar {
    pub(crate) name: String,
    /// Items a second.
    pub(crate) rate: f64,
}

#[derive(Default)]
pub(crate) struct Chart {
    groups: Vec<Group>,
}

impl Chart {
    /// Adds a group, Oxbatch first.
    pub(crate) fn add(&mut self, title: &str, bars: Vec<Bar>) {
        self.groups.push(Group { title: title.to_owned(), bars });
    }

    /// Writes it as an SVG picture that can be read on white and on black.
    pub(crate) fn write(&self, path: &Path) -> Result<(), BoxError> {
        let lines: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a size for people")]
        let height = self.groups.len() as f64 * TITLE + lines as f64 * LINE + 12.0;
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" font-family="system-ui, sans-serif" font-size="14">
<title>Oxbatch and its peers, items a second</title>
<rect width="100%" height="100%" fill="#ffffff"/>
"##
        );
        let mut top = 0.0;
        for group in &self.groups {
            top += TITLE;
            let title = escape(&group.title);
            writeln!(svg, r##"<text x="12" y="{}" font-weight="600" fill="#1f2328">{title}</text>"##, top - 10.0)?;
            let most = group.bars.iter().map(|bar| bar.rate).fold(0.0, f64::max);
            let ours = group.bars.first().map_or(f64::NAN, |bar| bar.rate);
            for (index, bar) in group.bars.iter().enumerate() {
                let (colour, times) = match index {
                    0 => ("#c2410c", String::new()),
                    _ => ("#9aa4b2", format!(", Oxbatch {:.2} ×", ours / bar.rate)),
                };
                let (length, middle) = (LONGEST * bar.rate / most, top + 16.0);
                writeln!(
                    svg,
                    r##"<text x="{}" y="{middle}" text-anchor="end" fill="#1f2328">{}</text><rect x="{LEFT}" y="{}" width="{length:.1}" height="16" rx="2" fill="{colour}"/><text x="{:.1}" y="{middle}" fill="#57606a">{}/s{times}</text>"##,
                    LEFT - 10.0,
                    escape(&bar.name),
                    top + 3.0,
                    LEFT + length + 8.0,
                    short(bar.rate),
                )?;
                top += LINE;
            }
        }
        svg.push_str("</svg>\n");
        Ok(std::fs::write(path, svg)?)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "")
}
