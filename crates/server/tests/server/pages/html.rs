//! A parsed page: elements are found by simple selectors, and what is not valid is kept.

use std::borrow::Cow;

use html5ever::parse_document;
use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// A page.
#[derive(Debug)]
pub(crate) struct Html {
    elements: Vec<Element>,
    pub(crate) errors: Vec<Cow<'static, str>>,
}

/// An element with its text, and the numbers of the elements that it stands in.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    pub(crate) text: String,
    within: Vec<usize>,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `tag#id.class[name=value]`, each part optional.
    fn fits(&self, compound: &str) -> bool {
        let mut parts: Vec<String> = vec![String::new()];
        let mut is_in_brackets = false;
        for c in compound.chars() {
            if matches!(c, '#' | '.' | '[') && !is_in_brackets {
                parts.push(String::new());
            }
            is_in_brackets = c == '[' || (is_in_brackets && c != ']');
            parts.last_mut().unwrap().push(c);
        }
        parts.iter().filter(|part| !part.is_empty()).all(|part| match part.split_at(1) {
            ("#", id) => self.attribute("id") == Some(id),
            (".", class) => self.attribute("class").is_some_and(|it| it.split_whitespace().any(|one| one == class)),
            ("[", rest) => match rest.trim_end_matches(']').split_once('=') {
                Some((name, value)) => self.attribute(name) == Some(value),
                None => self.attribute(rest.trim_end_matches(']')).is_some(),
            },
            _ => self.name == *part,
        })
    }
}

impl Html {
    pub(crate) fn parse(text: &str) -> Self {
        let dom = parse_document(RcDom::default(), Default::default()).one(text);
        let mut elements = Vec::new();
        walk(&dom.document, &mut Vec::new(), &mut elements);
        Self { elements, errors: dom.errors.take() }
    }

    /// All elements that fit: compounds separated by blanks, each within the one before it.
    pub(crate) fn all(&self, selector: &str) -> Vec<&Element> {
        let compounds: Vec<&str> = selector.split(' ').collect();
        let (last, outer) = compounds.split_last().unwrap();
        let is_within = |element: &Element| {
            let mut ancestors = element.within.iter();
            outer.iter().all(|compound| ancestors.any(|index| self.elements[*index].fits(compound)))
        };
        self.elements.iter().filter(|element| element.fits(last) && is_within(element)).collect()
    }

    /// The one element that fits.
    pub(crate) fn one(&self, selector: &str) -> &Element {
        match self.all(selector).as_slice() {
            [one] => one,
            found => panic!("{} elements fit {selector}: {}", found.len(), self.text("body")),
        }
    }

    /// The text of all that fits.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.all(selector).iter().map(|element| element.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn has(&self, selector: &str) -> bool {
        !self.all(selector).is_empty()
    }

    /// The value of the hidden field of a form.
    pub(crate) fn field(&self, name: &str) -> String {
        self.one(&format!("input[name={name}]")).attribute("value").unwrap().to_owned()
    }

    /// Checks every page: no script and no style within it, nothing from elsewhere, labels, one heading.
    pub(crate) fn check(&self, path: &str) {
        for element in &self.elements {
            assert!(element.attribute("style").is_none(), "{path}: {element:?}");
            for (name, value) in &element.attributes {
                assert!(!name.starts_with("on"), "{path}: {element:?}");
                if ["src", "href", "action", "formaction"].contains(&name.as_str()) {
                    assert!(
                        value.is_empty() || value.starts_with(['#', '/']) && !value.starts_with("//"),
                        "{path}: {value}"
                    );
                }
            }
            match element.name.as_str() {
                "script" => {
                    assert!(element.text.is_empty() && element.attribute("src").is_some(), "{path}: {element:?}")
                }
                "style" | "img" => panic!("{path}: {element:?}"),
                "form" => assert!(["get", "post"].contains(&element.attribute("method").unwrap()), "{path}"),
                "input" | "select" | "textarea" => self.check_label(path, element),
                _ => {}
            }
        }
        assert_eq!(self.all("h1").len(), 1, "{path}");
        assert_eq!(self.all("main").len(), 1, "{path}");
        let mut ids: Vec<&str> = self.elements.iter().filter_map(|element| element.attribute("id")).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{path}: an id stands twice");
    }

    fn check_label(&self, path: &str, element: &Element) {
        let is_hidden = element.attribute("type") == Some("hidden");
        let within = element.within.iter().any(|index| self.elements[*index].name == "label");
        let is_named = element.attribute("id").is_some_and(|id| self.has(&format!("label[for={id}]")));
        let is_said = element.attribute("aria-label").is_some();
        assert!(is_hidden || within || is_named || is_said, "{path}: {element:?} has no label");
    }
}

fn walk(node: &Handle, within: &mut Vec<usize>, elements: &mut Vec<Element>) {
    match &node.data {
        NodeData::Text { contents } => {
            for index in within.iter() {
                elements[*index].text.push_str(&contents.borrow());
            }
        }
        NodeData::Element { name, attrs, .. } => {
            let attributes = attrs.borrow();
            let attributes = attributes.iter().map(|it| (it.name.local.to_string(), it.value.to_string())).collect();
            let (name, index) = (name.local.to_string(), elements.len());
            elements.push(Element { name, attributes, text: String::new(), within: within.clone() });
            within.push(index);
            node.children.borrow().iter().for_each(|child| walk(child, within, elements));
            within.pop();
        }
        _ => node.children.borrow().iter().for_each(|child| walk(child, within, elements)),
    }
}
