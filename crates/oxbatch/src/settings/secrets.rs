//! Secrets of jobs: `OXBATCH_SECRETS_KEY_FILE`, `OXBATCH_SECRETS_DIR`.

use std::path::{Path, PathBuf};

use oxbatch_core::secret::{KeyRing, Secrets};

use super::{Setting, SettingError, Sources};
use crate::cli::GlobalArgs;

/// Most bytes of a key file.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// The file of keys.
pub(crate) const KEY_FILE: Setting = Setting {
    flag: "--secrets-key-file",
    variable: "OXBATCH_SECRETS_KEY_FILE",
    key: "engine.secrets_key_file",
    text: "File of the keys that encrypt secret parameters, made by 'secrets key'",
    default: "none: secrets are given by reference",
};

/// The folder of named secrets.
pub(crate) const FOLDER: Setting = Setting {
    flag: "--secrets-dir",
    variable: "OXBATCH_SECRETS_DIR",
    key: "engine.secrets_dir",
    text: "Folder of named secrets, each a file, to which parameters refer",
    default: "none",
};

/// All of them.
pub(super) const SETTINGS: [Setting; 2] = [KEY_FILE, FOLDER];

/// Reads the keys, and finds the folder.
pub(crate) fn resolve(globals: &GlobalArgs, sources: &Sources) -> Result<Secrets, SettingError> {
    let keys = sources.read(&KEY_FILE, globals.secrets_key_file.as_deref(), |text| keys(Path::new(text)))?;
    let folder = sources.read(&FOLDER, globals.secrets_dir.as_deref(), folder)?;
    let secrets = keys.into_iter().fold(Secrets::default(), Secrets::with_keys);
    Ok(folder.into_iter().fold(secrets, Secrets::with_folder))
}

/// The keys of a file that nobody else can read.
pub(crate) fn keys(file: &Path) -> Result<KeyRing, String> {
    let problem = |problem: String| format!("the key file '{}' {problem}", file.display());
    let content = read(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    if is_open_to_others(file) {
        return Err(problem("can be read by others: set its mode to 0600".to_owned()));
    }
    KeyRing::parse(&content).map_err(|error| problem(format!("cannot be used: {error}")))
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    std::fs::File::open(file)?.take(MAX_KEY_FILE_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(path) } else { Err(format!("'{text}' is no folder")) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_its_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, KeyRing::new_line().unwrap()).unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            keys(&file).map(|keys| keys.ids().count())
        };
        assert_eq!(with_mode(0o600), Ok(1));
        assert_eq!(with_mode(0o400), Ok(1));
        for mode in [0o640, 0o604, 0o660] {
            let refused = with_mode(mode).unwrap_err();
            assert!(refused.ends_with("can be read by others: set its mode to 0600"), "{refused}");
        }
        let missing = keys(&folder.path().join("none")).unwrap_err();
        assert!(missing.contains("none' cannot be read: "), "{missing}");
        std::fs::write(&file, "nothing").unwrap();
        let wrong = with_mode(0o600).unwrap_err();
        assert!(wrong.ends_with("cannot be used: line 1 is no key of 64 hexadecimal digits"), "{wrong}");
    }
}
