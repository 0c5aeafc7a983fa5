//! `switchboard schema`

use super::Complaint;

#[expect(clippy::print_stdout, reason = "the answer to a command")]
#[expect(clippy::unnecessary_wraps, reason = "commands are alike")]
pub fn run() -> Result<(), Complaint> {
    print!("{}", crate::schema::sdl());
    Ok(())
}
