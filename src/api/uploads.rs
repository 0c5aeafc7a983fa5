//! Rules of mutations that take files. They let the server reject a request before it reads the files.

/// The rule of a mutation that takes files. `schema.rs` lists them all.
#[derive(Clone, Copy, Debug)]
pub struct UploadRule {
    /// The name of the mutation's field.
    pub field: &'static str,
    /// Whether only administrators may send it. Otherwise every signed-in user may.
    pub needs_admin: bool,
    /// The most bytes of one file.
    pub max_bytes: u64,
}
