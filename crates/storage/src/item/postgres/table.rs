//! A table as the catalogue has it, and whether the fields of a row fit it.

use oxbatch_core::item::ItemError;
use tokio_postgres::Client;

use super::error::item_error;
use super::kind::{Kind, Scalar};
use super::plan::Action;
use crate::sqlite::quoted;

const FIND: &str = "SELECT c.oid, c.relkind, row_security_active(c.oid) OR c.relhasrules,
            has_table_privilege(c.oid, $2) OR ($2 <> 'DELETE' AND has_any_column_privilege(c.oid, $2)),
            EXISTS (SELECT FROM pg_constraint k WHERE k.condeferred AND c.oid IN (k.conrelid, k.confrelid))
     FROM pg_class c WHERE c.oid = to_regclass($1)";

/// Each column with the type under its domains, and the type of its elements where that is an array. Of an array of
/// domains the type under it is the array of what they are over: a cast to the domain itself would cut values to its
/// length without a word, which the assignment to the column refuses to do. Of collations those alone count to which
/// different texts are the same.
const COLUMNS: &str = "WITH RECURSIVE under (attnum, type, strict, preset) AS (
         SELECT a.attnum, a.atttypid, a.attnotnull, a.atthasdef OR a.attidentity <> ''
         FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
         UNION ALL
         SELECT u.attnum, t.typbasetype, u.strict OR t.typnotnull, u.preset OR t.typdefault IS NOT NULL
         FROM under u JOIN pg_type t ON t.oid = u.type WHERE t.typtype = 'd')
     SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
            coalesce((
                WITH RECURSIVE element (typtype, typbasetype, typarray) AS (
                    SELECT e.typtype, e.typbasetype, e.typarray WHERE e.typtype = 'd'
                    UNION ALL
                    SELECT b.typtype, b.typbasetype, b.typarray
                    FROM element d JOIN pg_type b ON b.oid = d.typbasetype WHERE d.typtype = 'd')
                SELECT quote_ident(ans.nspname) || '.' || quote_ident(arr.typname)
                FROM element JOIN pg_type arr ON arr.oid = element.typarray
                JOIN pg_namespace ans ON ans.oid = arr.typnamespace
                WHERE element.typtype <> 'd'), quote_ident(n.nspname) || '.' || quote_ident(t.typname)),
            t.oid, t.typname::text,
            t.typtype, u.strict, u.preset, a.attgenerated <> '', a.attidentity = 'a',
            e.oid, e.typname::text, e.typtype, quote_ident(ln.nspname) || '.' || quote_ident(l.collname)
     FROM pg_attribute a
     JOIN under u ON u.attnum = a.attnum
     JOIN pg_type t ON t.oid = u.type AND t.typtype <> 'd'
     JOIN pg_namespace n ON n.oid = t.typnamespace
     LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
     LEFT JOIN pg_collation l ON l.oid = a.attcollation AND NOT l.collisdeterministic
     LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
     WHERE a.attrelid = $1 ORDER BY a.attnum";

/// The columns of each index that can say what a conflict is.
const UNIQUE: &str = "SELECT array_agg(a.attname::text ORDER BY a.attname)
     FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
     GROUP BY i.indexrelid";

/// A table that rows can go to.
#[derive(Debug)]
pub(super) struct Table {
    /// As it was named, for messages.
    pub(super) name: String,
    /// As it stands in statements.
    pub(super) sql: String,
    pub(super) columns: Vec<Column>,
    /// `true` if COPY can write to it: not to views, nor where policies decide about rows, and it would pass over
    /// rules.
    pub(super) copies: bool,
    /// Some of its constraints are checked by the commit.
    pub(super) defers: bool,
    /// Columns, sorted, of each unique index.
    unique: Vec<Vec<String>>,
}

/// A column of it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The type with its domain and its bounds: `numeric(10,2)`.
    pub(super) type_name: String,
    /// The type under the domains as the catalogue spells it: in SQL's own words `character` would be `character(1)`.
    pub(super) base_type: String,
    /// Oid of that type.
    pub(super) base_oid: u32,
    /// Its collation, when it takes different texts for the same.
    pub(super) loose_collation: Option<String>,
    /// A value must be given: never NULL, and nothing fills it in.
    pub(super) wanted: bool,
    /// The server computes it.
    generated: bool,
    /// The server numbers it unless it is reported not to.
    pub(super) always_numbered: bool,
}

impl Table {
    /// Looks a table up: `strikes` or `schema.strikes`, as the catalogue spells it.
    ///
    /// # Errors
    /// When there is none, when rows cannot go to it, or may not.
    pub(super) async fn find(client: &Client, name: &str, action: &Action) -> Result<Self, ItemError> {
        let sql = match name.split_once('.') {
            Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
            None => quoted(name),
        };
        let privilege = match action {
            Action::Insert | Action::Upsert { .. } => "INSERT",
            Action::Update { .. } => "UPDATE",
            Action::Delete { .. } => "DELETE",
        };
        let what = format!("look up table '{name}'");
        let failed = |error| item_error(&what, error);
        let Some(found) = client.query_opt(FIND, &[&sql, &privilege]).await.map_err(failed)? else {
            let path = client.query_one("SELECT current_database()::text, current_setting('search_path')", &[]);
            let row = path.await.map_err(failed)?;
            let (database, path): (String, String) = (row.get(0), row.get(1));
            return Err(ItemError::other(format!(
                "table '{name}' does not exist in database '{database}' (search path {path})"
            )));
        };
        let (oid, kind, secured, allowed): (u32, i8, bool, bool) =
            (found.get(0), found.get(1), found.get(2), found.get(3));
        let copies = match kind.cast_unsigned() {
            b'r' | b'p' | b'f' => !secured,
            b'v' => false,
            _ => return Err(ItemError::other(format!("'{name}' is no table that rows can be written to"))),
        };
        if !allowed {
            let user: String = client.query_one("SELECT current_user::text", &[]).await.map_err(failed)?.get(0);
            return Err(ItemError::other(format!(
                "user '{user}' may not write to table '{name}': the privilege {privilege} is missing"
            )));
        }
        let rows = client.query(COLUMNS, &[&oid]).await.map_err(failed)?;
        let columns = rows.iter().map(Column::of).collect();
        let rows = client.query(UNIQUE, &[&oid]).await.map_err(failed)?;
        let unique = rows.iter().map(|row| row.get(0)).collect();
        Ok(Self { name: name.to_owned(), sql, columns, copies, defers: found.get(4), unique })
    }

    /// The column of a name.
    ///
    /// # Errors
    /// When the table lacks it.
    pub(super) fn column(&self, name: &str) -> Result<&Column, ItemError> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            ItemError::other(format!("table '{}' has no column '{name}'; it has {}", self.name, names.join(", ")))
        })
    }

    /// Checks that rows with these columns can be inserted.
    ///
    /// # Errors
    /// Names the column that the table lacks, that the server computes, or that must have a value and gets none.
    pub(super) fn check_insert(&self, names: &[impl AsRef<str>]) -> Result<(), ItemError> {
        self.check_known(names)?;
        let given = |column: &&Column| names.iter().any(|name| name.as_ref() == column.name);
        match self.columns.iter().filter(|column| column.wanted).find(|column| !given(column)) {
            Some(missing) => Err(ItemError::other(format!(
                "column '{}' of table '{}' is NOT NULL without a default, but the rows have no such field",
                missing.name, self.name
            ))),
            None => Ok(()),
        }
    }

    /// Checks that the table has these columns and that they can be written.
    ///
    /// # Errors
    /// Names the column that it lacks or that the server computes.
    pub(super) fn check_known(&self, names: &[impl AsRef<str>]) -> Result<(), ItemError> {
        for name in names {
            let column = self.column(name.as_ref())?;
            if column.generated {
                return Err(ItemError::other(format!(
                    "column '{}' of table '{}' is generated by the server; leave it out of the rows",
                    column.name, self.name
                )));
            }
        }
        Ok(())
    }

    /// Checks that a unique index says when two rows have the same key.
    ///
    /// # Errors
    /// When there is none over exactly these columns.
    pub(super) fn check_unique(&self, keys: &[String]) -> Result<(), ItemError> {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        if self.unique.contains(&sorted) {
            return Ok(());
        }
        let keys = keys.join(", ");
        Err(ItemError::other(format!(
            "table '{}' has no unique index over ({keys}), so the row that a new one replaces is not known",
            self.name
        )))
    }
}

impl Column {
    fn of(row: &tokio_postgres::Row) -> Self {
        let (oid, type_name, typtype): (u32, String, i8) = (row.get(3), row.get(4), row.get(5));
        let (strict, preset, generated, always_numbered): (bool, bool, bool, bool) =
            (row.get(6), row.get(7), row.get(8), row.get(9));
        let element: Option<(u32, String, i8)> =
            row.get::<_, Option<u32>>(10).map(|oid| (oid, row.get(11), row.get(12)));
        let kind = match element {
            Some((oid, name, typtype)) => Kind::many(Scalar::of(oid, &name, typtype), oid),
            None => Kind::One(Scalar::of(oid, &type_name, typtype)),
        };
        Self {
            name: row.get(0),
            kind,
            type_name: row.get(1),
            base_type: row.get(2),
            base_oid: oid,
            loose_collation: row.get(13),
            wanted: strict && !preset && !generated,
            generated,
            always_numbered,
        }
    }
}
