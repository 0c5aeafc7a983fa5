//! A file in the inbox, and what becomes of it.

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
        move |number| format!("{name}.{number}")
    });
    std::iter::once(name.to_owned()).chain(numbered)
}

/// The name of the file that holds the reason.
pub fn reason_name(name: &str) -> String {
    format!("{name}.reason.txt")
}
