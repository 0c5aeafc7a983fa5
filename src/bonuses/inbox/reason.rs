//! Why a file of the inbox cannot be imported, as the text that is put beside it.

use std::fmt::Write;

use crate::error::{Error, ErrorCode};

/// Whether an error is about the file or its name, and not about the server.
pub fn is_about_file(error: &Error) -> bool {
    use ErrorCode::{BadUserInput, Conflict, UploadTooLarge};
    matches!(error.code(), BadUserInput | Conflict | UploadTooLarge)
}

/// The reason for an error that is about the file.
pub fn describe_error(error: &Error) -> String {
    let lines = error.user_errors().iter().map(|error| {
        let field = error.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
        (format!("{field}{}", error.message), error.code)
    });
    describe(lines)
}

/// The reason for an import that has failed at once.
pub fn describe_failure(message: Option<String>, code: Option<ErrorCode>) -> String {
    let message = message.unwrap_or_else(|| "The file cannot be read.".to_owned());
    describe([(message, code.unwrap_or(ErrorCode::BadUserInput))])
}

fn describe(problems: impl IntoIterator<Item = (String, ErrorCode)>) -> String {
    let mut text = "The file was not imported.\n\n".to_owned();
    for (message, code) in problems {
        let _ = writeln!(text, "{message} ({})", code.public_name());
    }
    text + "\nCorrect it, and put it into the inbox again.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::UserError;

    #[test]
    fn every_problem_is_told_with_its_code() {
        let conflict = UserError::new(ErrorCode::Conflict, "Other coins.").for_field("coins");
        let bad = UserError::bad_input("Too long.").for_field("campaign");
        let error = Error::ensure_none(vec![conflict, bad]).expect_err("two");
        assert!(is_about_file(&error));
        assert_eq!(
            describe_error(&error),
            "The file was not imported.\n\ncoins: Other coins. (CONFLICT)\n\
             campaign: Too long. (BAD_USER_INPUT)\n\nCorrect it, and put it into the inbox again.\n"
        );
        assert!(!is_about_file(&Error::internal("the disk is full")));
    }
}
