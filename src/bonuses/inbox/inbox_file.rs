//! A file in the inbox, and what becomes of it.

/// The most bytes of a file's name.
const MAX_NAME_LEN: usize = 255;

/// A file in the inbox, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Differs when the file was changed or replaced.
    pub version: String,
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is an import, and moved to `done/`.
    Done,
    /// It cannot be one, and is moved to `failed/` with this reason, for people.
    Failed(String),
}

impl Verdict {
    /// The folder to which the file is moved.
    pub fn folder(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
        }
    }
}

/// The names for a file in its new folder, the best first. No name with a number is one for the inbox.
pub fn candidate_names(name: &str) -> impl Iterator<Item = String> {
    let numbered = (2_u32..).map({
        let name = name.to_owned();
        move |number| with_suffix(&name, &format!(".{number}"))
    });
    std::iter::once(name.to_owned()).chain(numbered)
}

/// The name of the file that holds the reason.
pub fn reason_name(name: &str) -> String {
    with_suffix(name, ".reason.txt")
}

/// A name with a suffix, shortened to what file systems take.
fn with_suffix(name: &str, suffix: &str) -> String {
    let (folder, name) = name.rsplit_once('/').map_or(("", name), |(folder, name)| (folder, name));
    let end = name.floor_char_boundary(MAX_NAME_LEN - suffix.len());
    let separator = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{separator}{}{suffix}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_for_a_suffix() {
        assert_eq!(reason_name("failed/Spring.5.txt"), "failed/Spring.5.txt.reason.txt");
        let long = format!("{}.5.txt", "é".repeat(124));
        assert_eq!(long.len(), 254);
        assert!(reason_name(&long).len() <= MAX_NAME_LEN);
        assert!(reason_name(&long).ends_with("é.reason.txt"));
        let second = candidate_names(&long).nth(1).expect("endless");
        assert!(second.ends_with("é.2") || second.ends_with(".2"), "{second}");
        assert!(second.len() <= MAX_NAME_LEN);
    }
}
