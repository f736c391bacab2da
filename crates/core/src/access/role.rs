//! Roles, and the rights that requests need.

use crate::words::words;

words! {
    /// The role of a token; each has the rights of those before it.
    #[derive(PartialOrd, Ord)]
    Role, "role" {
        /// It sees everything but the records of the data.
        Viewer = "viewer",
        /// It launches, stops, restarts, pauses; and it sees records.
        Operator = "operator",
        /// It also sees the audit log and drains nodes.
        Admin = "admin",
    }
}

/// The right that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// To see how things stand.
    View,
    /// To see records of the data: skipped items, previews.
    Data,
    /// To change what runs and when.
    Operate,
    /// To change or see what is the administrator's.
    Administer,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::View, Self::Data, Self::Operate, Self::Administer];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Data => "data",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    /// The least role that has it.
    pub const fn least_role(self) -> Role {
        match self {
            Self::View => Role::Viewer,
            Self::Data | Self::Operate => Role::Operator,
            Self::Administer => Role::Admin,
        }
    }
}

/// The rights that a caller has been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// `true` for one that sees records of the data whatever its role.
    pub data: bool,
}

impl Grant {
    /// Every right.
    pub const ALL: Self = Self { role: Role::Admin, data: true };
}
