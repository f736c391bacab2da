//! Parameters that a job declares: type, default, and the values that they take.

use super::{DateExpression, ExpressionError, ParameterType, ParameterValue, Pattern, SECRET_SHOWN};

/// Longest name of a parameter in characters.
pub(crate) const MAX_NAME_CHARS: usize = 100;

/// A parameter that a job accepts.
///
/// ```
/// use oxbatch::ParameterDeclaration;
///
/// let input = ParameterDeclaration::string("input").default_value("data/in.csv").description("file to import");
/// let day = ParameterDeclaration::date_time("day").default_expression("yesterday in Europe/Berlin");
/// let region = ParameterDeclaration::string("region").required().pattern("[A-Z]{2}", "a country code such as DE");
/// assert!(region.is_required() && !input.is_required());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterDeclaration {
    name: String,
    kind: ParameterType,
    required: bool,
    default: Option<ParameterValue>,
    expression: Option<WrittenExpression>,
    identifying: bool,
    secret: bool,
    description: String,
    allowed: Vec<ParameterValue>,
    range: Option<(i64, i64)>,
    pattern: Option<Pattern>,
}

/// A default expression as it was given, and what it was read as.
#[derive(Debug, Clone, PartialEq)]
struct WrittenExpression {
    text: String,
    parsed: Result<DateExpression, ExpressionError>,
}

impl ParameterDeclaration {
    fn new(name: &str, kind: ParameterType) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            default: None,
            expression: None,
            identifying: true,
            secret: false,
            description: String::new(),
            allowed: Vec::new(),
            range: None,
            pattern: None,
        }
    }

    /// Declares a STRING parameter: optional, identifying, without a default.
    pub fn string(name: &str) -> Self {
        Self::new(name, ParameterType::String)
    }

    /// Declares an INTEGER parameter: optional, identifying, without a default.
    pub fn integer(name: &str) -> Self {
        Self::new(name, ParameterType::Integer)
    }

    /// Declares a FLOAT parameter: optional, identifying, without a default.
    pub fn float(name: &str) -> Self {
        Self::new(name, ParameterType::Float)
    }

    /// Declares a DATETIME parameter: optional, identifying, without a default.
    pub fn date_time(name: &str) -> Self {
        Self::new(name, ParameterType::DateTime)
    }

    /// Refuses launches without it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The value of a launch that does not give one. It takes part in the identity like a given one.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<ParameterValue>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// The value of a launch that does not give one, relative to the moment of the launch: [`DateExpression`] has the
    /// table of what can be written. It is fixed once, at the launch, by the clock of the process that launches: a
    /// restart and a recovery go on with the value of the execution. It takes part in the identity like a given one.
    ///
    /// For DATETIME parameters; `build` refuses it for others, and what is no expression.
    #[must_use]
    pub fn default_expression(mut self, expression: &str) -> Self {
        self.expression = Some(WrittenExpression { text: expression.to_owned(), parsed: expression.parse() });
        self
    }

    /// Keeps it out of the identity: launches that differ only in it are the same instance.
    #[must_use]
    pub fn non_identifying(mut self) -> Self {
        self.identifying = false;
        self
    }

    /// Makes it a secret: it is shown as `***`, stored encrypted or as a reference alone, masked in what the execution
    /// logs and says, and never takes part in the identity. The author's code reads it by
    /// [`JobParameters::secret`](crate::JobParameters::secret).
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self.identifying = false;
        self
    }

    /// Its purpose, for people.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        text.clone_into(&mut self.description);
        self
    }

    /// Refuses every other value.
    #[must_use]
    pub fn allowed<V: Into<ParameterValue>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.allowed = values.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses whole numbers outside of a range; both ends belong to it.
    #[must_use]
    pub fn between(mut self, minimum: i64, maximum: i64) -> Self {
        self.range = Some((minimum, maximum));
        self
    }

    /// Refuses texts that do not match a regular expression as a whole. The description names what does, as in "must be
    /// a country code such as DE".
    ///
    /// For STRING parameters. The syntax is that of the crate `regex-lite`; its classes `\d`, `\w` and `\s` are ASCII.
    /// A pattern that JSON Schema (ECMA-262) reads in the same way is one that callers can check by themselves.
    #[must_use]
    pub fn pattern(mut self, expression: &str, description: &str) -> Self {
        self.pattern = Some(Pattern::new(expression, description));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> ParameterType {
        self.kind
    }

    /// True if a launch must give it.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// True if it takes part in the identity of the instance.
    pub fn is_identifying(&self) -> bool {
        self.identifying
    }

    /// True if it is a secret.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// The value of a launch that does not give one.
    pub fn default_or_none(&self) -> Option<&ParameterValue> {
        self.default.as_ref()
    }

    /// The expression for the value of a launch that does not give one.
    pub fn default_expression_or_none(&self) -> Option<&DateExpression> {
        self.expression.as_ref()?.parsed.as_ref().ok()
    }

    /// Its purpose; may be empty.
    pub fn text(&self) -> &str {
        &self.description
    }

    /// The only values that it takes; empty for any.
    pub fn allowed_values(&self) -> &[ParameterValue] {
        &self.allowed
    }

    /// The smallest and the largest whole number that it takes.
    pub fn range(&self) -> Option<(i64, i64)> {
        self.range
    }

    /// The pattern that its text must match.
    pub fn pattern_or_none(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    /// The contradiction in the declaration, as a sentence fragment.
    pub(crate) fn contradiction(&self) -> Option<String> {
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME_CHARS || self.name.contains('\0') {
            return Some(format!("parameter name '{}' is empty, too long or has a NUL", self.name));
        }
        if self.required && self.default.is_some() {
            return Some(format!("parameter '{}' is required and has a default", self.name));
        }
        let values = self.default.iter().chain(&self.allowed);
        if let Some(value) = values.into_iter().find(|value| value.kind() != self.kind) {
            let (name, kind, other) = (&self.name, self.kind, value.kind());
            let value = self.shown(value);
            return Some(format!("parameter '{name}' has type {kind}, but {value} has type {other}"));
        }
        if let Some((minimum, maximum)) = self.range
            && (self.kind != ParameterType::Integer || minimum > maximum)
        {
            return Some(format!("range {minimum} to {maximum} of parameter '{}' does not fit an INTEGER", self.name));
        }
        self.expression_contradiction().or_else(|| self.pattern_contradiction()).or_else(|| {
            let default = self.default.as_ref()?;
            let refused = self.refuses(default)?;
            Some(format!("default {} of parameter '{}' {refused}", self.shown(default), self.name))
        })
    }

    /// A value of the declaration as it may be shown.
    fn shown(&self, value: &ParameterValue) -> String {
        if self.secret { SECRET_SHOWN.to_owned() } else { value.to_string() }
    }

    fn expression_contradiction(&self) -> Option<String> {
        let WrittenExpression { text, parsed } = self.expression.as_ref()?;
        let (name, kind) = (&self.name, self.kind);
        if kind != ParameterType::DateTime {
            return Some(format!("parameter '{name}' has type {kind}, and its default expression '{text}' a DATETIME"));
        }
        if self.required || self.default.is_some() {
            let other = if self.required { "is required" } else { "has a default value" };
            return Some(format!("parameter '{name}' {other}, and has the default expression '{text}'"));
        }
        let error = parsed.as_ref().err()?;
        Some(format!("default expression '{text}' of parameter '{name}': {error}"))
    }

    fn pattern_contradiction(&self) -> Option<String> {
        let pattern = self.pattern.as_ref()?;
        let (name, kind, expression) = (&self.name, self.kind, pattern.expression());
        if kind != ParameterType::String {
            return Some(format!("parameter '{name}' has type {kind}, and a pattern, which is for a STRING"));
        }
        if pattern.description().trim().is_empty() {
            return Some(format!("pattern '{expression}' of parameter '{name}' has no description"));
        }
        if let Some(error) = pattern.error() {
            return Some(format!("pattern '{expression}' of parameter '{name}' is no regular expression: {error}"));
        }
        let refused = |value: &&ParameterValue| matches!(value, ParameterValue::String(text) if !pattern.matches(text));
        let value = self.allowed.iter().find(refused)?;
        let value = self.shown(value);
        Some(format!("allowed value {value} of parameter '{name}' does not match its pattern '{expression}'"))
    }

    /// The reason for which a value of the right type is refused.
    pub(crate) fn refuses(&self, value: &ParameterValue) -> Option<String> {
        if self.secret && !self.allowed.is_empty() && !self.allowed.contains(value) {
            return Some("is none of the values that it may have".to_owned());
        }
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let allowed: Vec<_> = self.allowed.iter().map(ToString::to_string).collect();
            return Some(format!("must be one of {}", allowed.join(", ")));
        }
        match value {
            ParameterValue::Integer(number) => {
                let (minimum, maximum) =
                    self.range.filter(|(minimum, maximum)| !(minimum..=maximum).contains(&number))?;
                Some(format!("must be within {minimum} to {maximum}"))
            }
            ParameterValue::String(text) => {
                let pattern = self.pattern.as_ref().filter(|pattern| !pattern.matches(text))?;
                Some(format!("must be {}", pattern.description()))
            }
            ParameterValue::Float(_) | ParameterValue::DateTime(_) | ParameterValue::Secret(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_that_contradicts_itself_says_so() {
        let of = |declaration: ParameterDeclaration| declaration.contradiction();
        assert!(of(ParameterDeclaration::string("a").default_value(1)).is_some());
        assert!(of(ParameterDeclaration::string("a").default_value("x").required()).is_some());
        assert!(of(ParameterDeclaration::integer("a").default_value(1).allowed([2])).is_some());
        assert!(of(ParameterDeclaration::integer("")).is_some());
        assert!(of(ParameterDeclaration::integer("a").between(2, 1)).is_some());
        assert!(of(ParameterDeclaration::string("a").between(1, 2)).is_some());
        assert!(of(ParameterDeclaration::integer("a").between(1, 9).default_value(10)).is_some());
    }

    #[test]
    fn a_default_expression_fits_a_date_time_without_another_default() {
        let of = |declaration: ParameterDeclaration| declaration.contradiction();
        let day = || ParameterDeclaration::date_time("day");
        assert_eq!(of(day().default_expression("yesterday in Europe/Berlin")), None);
        for (declaration, expected) in [
            (
                day().default_expression("yesterday in Berlin"),
                "default expression 'yesterday in Berlin' of parameter 'day': there is no time zone 'Berlin': give the IANA \
                 name of one, such as Europe/Berlin, or UTC",
            ),
            (
                ParameterDeclaration::string("day").default_expression("today"),
                "parameter 'day' has type STRING, and its default expression 'today' a DATETIME",
            ),
            (
                day().required().default_expression("today"),
                "parameter 'day' is required, and has the default expression 'today'",
            ),
            (
                day().default_value(crate::DateTime::parse("2026-01-01").unwrap()).default_expression("today"),
                "parameter 'day' has a default value, and has the default expression 'today'",
            ),
        ] {
            assert_eq!(of(declaration).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_pattern_fits_a_string_and_all_that_is_declared_with_it() {
        let of = |declaration: ParameterDeclaration| declaration.contradiction();
        let code = || ParameterDeclaration::string("code").pattern("[A-Z]{2}", "two letters");
        assert_eq!(of(code().default_value("DE").allowed(["DE", "FR"])), None);
        for (declaration, expected) in [
            (code().default_value("de"), "default de of parameter 'code' must be two letters"),
            (
                code().allowed(["DE", "fr"]),
                "allowed value fr of parameter 'code' does not match its pattern '[A-Z]{2}'",
            ),
            (
                ParameterDeclaration::integer("code").pattern("1+", "ones"),
                "parameter 'code' has type INTEGER, and a pattern, which is for a STRING",
            ),
            (
                ParameterDeclaration::string("code").pattern("1+", " "),
                "pattern '1+' of parameter 'code' has no description",
            ),
        ] {
            assert_eq!(of(declaration).as_deref(), Some(expected));
        }
        let broken = of(ParameterDeclaration::string("code").pattern("[a", "an a")).unwrap();
        assert!(broken.starts_with("pattern '[a' of parameter 'code' is no regular expression: "), "{broken}");
    }
}
