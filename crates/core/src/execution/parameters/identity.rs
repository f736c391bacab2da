//! The identity that parameters give to a job instance.

use sha2::{Digest, Sha256};

use super::{JobParameters, ParameterValue};

/// Heads the canonical form under the hash. A release may never change the identity of a stored instance, so a new
/// form needs a new line here and the old one for the instances that exist.
const IDENTITY_VERSION: &[u8] = b"oxbatch-job-key-1\n";

impl JobParameters {
    /// The identity of an instance: SHA-256, in hexadecimal, over the identifying parameters.
    ///
    /// The canonical form is a version line, then for each identifying parameter in the order of its name's bytes:
    /// length of the name (u32, big-endian), name, type tag (`s`, `i`, `f`, `t`), length of the value, value. Values
    /// are UTF-8 text, a decimal integer, the 16 hexadecimal digits of the float's bits (−0.0 as 0.0), or the decimal
    /// microseconds since 1970 of an instant.
    pub fn job_key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(IDENTITY_VERSION);
        for (name, parameter) in self.iter().filter(|(_, parameter)| parameter.identifying && !parameter.secret) {
            let (tag, value) = match &parameter.value {
                ParameterValue::String(text) => (b"s", text.clone()),
                ParameterValue::Integer(number) => (b"i", number.to_string()),
                ParameterValue::Float(number) => {
                    let number = if *number == 0.0 { 0.0 } else { *number };
                    (b"f", format!("{:016x}", number.to_bits()))
                }
                ParameterValue::DateTime(value) => (b"t", value.microseconds().to_string()),
                ParameterValue::Secret(_) => continue,
            };
            let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
            hash.update(length(name));
            hash.update(name);
            hash.update(tag);
            hash.update(length(&value));
            hash.update(&value);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::Parameter;
    use crate::execution::parameters::tests::all_types;

    /// Golden: a release may never change the identity of a stored instance.
    #[test]
    fn the_identity_of_known_parameters_never_changes() {
        assert_eq!(
            JobParameters::default().job_key(),
            "b129c92b13cb075004dcad71b07ebaa461db3156d77c156d2c3ec24ced150acc"
        );
        assert_eq!(all_types().job_key(), "d5fc0c15e9f5fc3e74b2b9cd8c29ec3c05643536226505c7f632f383cd2b5e40");
    }

    #[test]
    fn the_identity_ignores_what_does_not_identify() {
        let mut parameters = all_types();
        let note = Parameter { value: "x".into(), identifying: false, secret: false };
        parameters.insert("note", note);
        assert_eq!(parameters.job_key(), all_types().job_key());
    }

    #[test]
    fn the_identity_tells_types_and_borders_apart() {
        let keys = [
            JobParameters::default().with("a", 1),
            JobParameters::default().with("a", 1.0),
            JobParameters::default().with("a", "1"),
            JobParameters::default().with("a", "1").with("b", "2"),
            JobParameters::default().with("a", "1b2"),
        ]
        .map(|parameters| parameters.job_key());
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(
            JobParameters::default().with("a", 0.0).job_key(),
            JobParameters::default().with("a", -0.0).job_key()
        );
    }
}
