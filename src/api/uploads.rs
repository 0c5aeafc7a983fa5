//! Which mutations take files, so that a request is judged before its files are read.

/// A mutation that takes files. Every such mutation has one, in `schema.rs`.
#[derive(Clone, Copy, Debug)]
pub struct UploadRule {
    /// The name of the field.
    pub field: &'static str,
    /// Whether only administrators may send it. Everybody else must be signed in at least.
    pub needs_admin: bool,
    /// The most bytes of one file.
    pub most_bytes: u64,
}
