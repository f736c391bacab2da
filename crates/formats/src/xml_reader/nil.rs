//! `xsi:nil`: the prefixes that mean it around a record, so that the record can be read by itself.

use quick_xml::events::BytesStart;
use quick_xml::name::{Namespace, NamespaceError, NamespaceResolver, PrefixDeclaration};
use serde::{Deserialize, Serialize};

/// The namespace whose attribute `nil` says that an element is nothing.
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Most declarations that are kept: they travel with each checkpoint.
const MAX_DECLARED: usize = 64;

/// Prefixes that the elements around a record declare, as far as they matter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NilPrefixes(Vec<Declared>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Declared {
    prefix: String,
    /// Elements around the one that declares it.
    depth: usize,
    /// True if it is a prefix of [`INSTANCE`]: one that was may be declared again.
    nil: bool,
}

impl NilPrefixes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records what a start tag declares that has `depth` elements around it.
    pub(super) fn enter(&mut self, tag: &str, depth: usize) {
        let content = tag.trim_start_matches('<').trim_end_matches('>');
        let name = content.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(content.len());
        for attribute in BytesStart::from_content(content, name).attributes().with_checks(false).flatten() {
            let Some(PrefixDeclaration::Named(prefix)) = attribute.key.as_namespace_binding() else { continue };
            let nil = attribute.value.trim_ascii() == INSTANCE;
            if self.0.len() < MAX_DECLARED && (nil || self.0.iter().any(|declared| declared.prefix == prefix)) {
                self.0.push(Declared { prefix: prefix.to_owned(), depth, nil });
            }
        }
    }

    /// Forgets what was declared by an element that had `depth` elements around it.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.0.pop_if(|declared| declared.depth >= depth).is_some() {}
    }

    /// Declares them to the parser of a record.
    pub(super) fn declare(&self, resolver: &mut NamespaceResolver) -> Result<(), NamespaceError> {
        for Declared { prefix, nil, .. } in &self.0 {
            let namespace = if *nil { INSTANCE } else { "" };
            resolver.add(PrefixDeclaration::Named(prefix), Namespace(namespace))?;
        }
        Ok(())
    }
}
