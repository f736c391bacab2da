//! The flow of a job as a picture: boxes in ranks, ways between them, and the states of an execution.

use std::collections::HashMap;
use std::fmt::Write;

use super::parts::Markup;
use super::text::{shorten, shown};
use crate::view::{ElementKindView, ElementView, GraphView, WayEndView, WayView};

/// Most elements of a picture; a larger flow is a list.
const MOST_ELEMENTS: usize = 60;
const WIDTH: i32 = 190;
const HEIGHT: i32 = 46;
const GAP_X: i32 = 34;
const GAP_Y: i32 = 52;
const MARGIN: i32 = 16;
/// Beside the boxes, for ways past them and their words.
const SIDE: i32 = 84;
/// Most characters of a name in a box.
const NAME_CHARS: usize = 24;

/// A box of the picture.
struct Placed {
    x: i32,
    y: i32,
}

/// The flow as a picture; empty where it is too large for one.
pub(super) fn picture(graph: &GraphView) -> Markup {
    if graph.elements.len() > MOST_ELEMENTS || graph.elements.is_empty() {
        return Markup::default();
    }
    let ranks = ranks(graph);
    let depth = ranks.iter().copied().max().unwrap_or(0) + 1;
    let widest = (0..depth).map(|rank| ranks.iter().filter(|it| **it == rank).count()).max().unwrap_or(1);
    let finals = graph.finally.len();
    let width = SIDE * 2 + span(widest) * (WIDTH + GAP_X) - GAP_X;
    let height = MARGIN * 2 + (span(depth) + span(finals)) * (HEIGHT + GAP_Y) - GAP_Y;
    let placed = placed(&ranks, width);
    let mut out = String::new();
    let label = format!("Flow of {}", graph.job_name);
    // A text can always be written to.
    let _ = write!(
        out,
        "<svg class=\"flow\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{}\"><defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto-start-reverse\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>",
        shown(&label)
    );
    ways(graph, &placed, &mut out);
    for (element, at) in graph.elements.iter().zip(&placed) {
        one_box(element, at, &mut out);
    }
    finally(graph, span(depth), width, &mut out);
    out.push_str("</svg>");
    Markup(out)
}

fn span(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX / 1_000)
}

/// The rank of each element: one below the lowest that leads to it, ways back aside.
fn ranks(graph: &GraphView) -> Vec<usize> {
    let index = indices(graph);
    let mut ranks = vec![0; graph.elements.len()];
    for to in 0..graph.elements.len() {
        let before = graph.ways.iter().filter_map(|way| {
            let (from, target) = (*index.get(way.from.as_str())?, *index.get(way.to.as_deref()?)?);
            (way.end == WayEndView::Element && target == to && from < to).then(|| ranks[from] + 1)
        });
        // One that only a way back leads to stands below the one before it.
        ranks[to] = before.max().unwrap_or(if to == 0 { 0 } else { ranks[to - 1] + 1 });
    }
    ranks
}

fn indices(graph: &GraphView) -> HashMap<&str, usize> {
    graph.elements.iter().enumerate().map(|(index, element)| (element.name.as_str(), index)).collect()
}

fn placed(ranks: &[usize], width: i32) -> Vec<Placed> {
    let mut used: HashMap<usize, i32> = HashMap::new();
    let place = |rank: &usize| {
        let in_rank = span(ranks.iter().filter(|it| *it == rank).count());
        let column = used.entry(*rank).or_default();
        let left = (width - (in_rank * (WIDTH + GAP_X) - GAP_X)) / 2;
        let x = left + *column * (WIDTH + GAP_X);
        *column += 1;
        Placed { x, y: MARGIN + span(*rank) * (HEIGHT + GAP_Y) }
    };
    ranks.iter().map(place).collect()
}

fn one_box(element: &ElementView, at: &Placed, out: &mut String) {
    let (class, word) = match element.status {
        Some(status) => (status.class(), format!("{} {}", status.mark(), status.word())),
        None => {
            ("none", if element.kind == ElementKindView::Decider { "decides".to_owned() } else { "step".to_owned() })
        }
    };
    let word = if element.iterations > 1 { format!("{word} × {}", element.iterations) } else { word };
    let kind = if element.kind == ElementKindView::Decider { "decider" } else { "step" };
    let radius = if element.kind == ElementKindView::Decider { HEIGHT / 2 } else { 6 };
    let (x, y, name) = (at.x, at.y, shown(&shorten(&element.name, NAME_CHARS)));
    let _ = write!(
        out,
        "<g class=\"node {class} {kind}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" rx=\"{radius}\"/><text x=\"{}\" y=\"{}\" class=\"name\">{name}</text><text x=\"{}\" \
         y=\"{}\" class=\"state\">{}</text></g>",
        shown(&element.name),
        x + WIDTH / 2,
        y + 20,
        x + WIDTH / 2,
        y + 36,
        shown(&word),
    );
}

fn ways(graph: &GraphView, placed: &[Placed], out: &mut String) {
    let index = indices(graph);
    for way in &graph.ways {
        let Some(from) = index.get(way.from.as_str()).map(|index| &placed[*index]) else { continue };
        match way.to.as_deref().and_then(|to| index.get(to)).filter(|_| way.end == WayEndView::Element) {
            Some(to) => between(from, &placed[*to], way, out),
            None => to_an_end(from, way, out),
        }
    }
}

fn between(from: &Placed, to: &Placed, way: &WayView, out: &mut String) {
    let (x1, y1, x2, y2) = (from.x + WIDTH / 2, from.y + HEIGHT, to.x + WIDTH / 2, to.y);
    let is_next = y2 - y1 == GAP_Y;
    let path = match (y2 > y1, is_next || x1 != x2) {
        (true, true) => format!("M{x1} {y1}C{x1} {} {x2} {} {x2} {y2}", y1 + GAP_Y / 2, y2 - GAP_Y / 2),
        // Past the boxes between them, on the side without words.
        (true, false) => {
            let side = from.x;
            format!("M{side} {}C{} {} {} {} {side} {}", y1 - 12, side - 30, y1, side - 30, y2, y2 + 14)
        }
        // Back.
        (false, _) => {
            let (side, y1, y2) = (from.x, from.y + HEIGHT / 2, to.y + HEIGHT / 2);
            format!("M{side} {y1}C{} {y1} {} {y2} {} {y2}", side - 40, to.x - 40, to.x)
        }
    };
    let _ = write!(out, "<path class=\"way\" d=\"{path}\" marker-end=\"url(#arrow)\"/>");
    let on = way.on.as_deref().unwrap_or_default();
    // The ways that need no word: the one on success.
    if !on.is_empty() {
        let (x, y) = (i32::midpoint(x1, x2) + 6, if y2 > y1 { y1 + GAP_Y / 2 } else { from.y + HEIGHT / 2 });
        let _ = write!(out, "<text class=\"on\" x=\"{x}\" y=\"{y}\">{}</text>", shown(&shorten(on, NAME_CHARS)));
    }
}

/// A way to an end of the execution is a word beside the box.
fn to_an_end(from: &Placed, way: &WayView, out: &mut String) {
    let end = match way.end {
        WayEndView::Completed => "COMPLETED",
        WayEndView::Failed => "FAILED",
        WayEndView::Stopped => "STOPPED",
        WayEndView::Element => return,
    };
    // Success without more leads to the end of every flow.
    let Some(on) = way.on.as_deref().filter(|on| !on.is_empty()) else { return };
    let text = format!("{} → {}", shorten(on, 14), way.exit_code.as_deref().unwrap_or(end));
    let _ =
        write!(out, "<text class=\"on\" x=\"{}\" y=\"{}\">{}</text>", from.x + 4, from.y + HEIGHT + 14, shown(&text));
}

fn finally(graph: &GraphView, depth: i32, width: i32, out: &mut String) {
    for (index, step) in graph.finally.iter().enumerate() {
        let y = MARGIN + (depth + span(index)) * (HEIGHT + GAP_Y);
        let x = (width - WIDTH) / 2;
        let _ = write!(
            out,
            "<g class=\"node none finally\"><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\
             <text x=\"{}\" y=\"{}\" class=\"name\">{}</text><text x=\"{}\" y=\"{}\" class=\"state\">at the end</text></g>",
            x + WIDTH / 2,
            y + 20,
            shown(&shorten(&step.name, NAME_CHARS)),
            x + WIDTH / 2,
            y + 36,
        );
    }
}
