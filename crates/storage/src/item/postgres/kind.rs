//! The types of columns that have a binary form here, and how they are found in the catalogue.

/// The type of a single value. Domains are taken as the type that they are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// text, varchar, char(n), name, citext.
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
    Jsonb,
    /// A label of an enum.
    Enum,
    /// One byte of a `bytea` that is given as a sequence.
    Byte,
    /// Any other type: its values travel as text, and the server casts them.
    Other,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    One(Scalar),
    /// An array of one dimension.
    Many {
        element: Scalar,
        element_type: u32,
    },
}

const TEXT: u32 = 25;

impl Scalar {
    /// From the catalogue's oid, name and `typtype` of a type that is no domain.
    pub(super) fn of(oid: u32, name: &str, typtype: i8) -> Self {
        match (oid, name, typtype.cast_unsigned()) {
            (16, ..) => Self::Bool,
            (17, ..) => Self::Bytea,
            (20, ..) => Self::Int8,
            (21, ..) => Self::Int2,
            (23, ..) => Self::Int4,
            (26, ..) => Self::Oid,
            (19 | 25 | 1042 | 1043, ..) => Self::Text,
            (114, ..) => Self::Json,
            (700, ..) => Self::Float4,
            (701, ..) => Self::Float8,
            (1082, ..) => Self::Date,
            (1083, ..) => Self::Time,
            (1114, ..) => Self::Timestamp,
            (1184, ..) => Self::TimestampTz,
            (1700, ..) => Self::Numeric,
            (2950, ..) => Self::Uuid,
            (3802, ..) => Self::Jsonb,
            (_, "citext", _) => Self::Text,
            (_, _, b'e') => Self::Enum,
            _ => Self::Other,
        }
    }
}

impl Kind {
    /// An array of elements that are no domain; those of a type without a binary form here travel as text.
    pub(super) fn many(element: Scalar, element_type: u32) -> Self {
        Self::Many { element, element_type: if element == Scalar::Other { TEXT } else { element_type } }
    }

    /// Returns whether values travel as text and are cast by the server.
    pub(super) fn is_cast(self) -> bool {
        matches!(self, Self::One(Scalar::Other) | Self::Many { element: Scalar::Other, .. })
    }

    pub(super) fn is_array(self) -> bool {
        matches!(self, Self::Many { .. })
    }
}
