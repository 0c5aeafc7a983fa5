//! Why a bonus file cannot be unpacked.

use std::io;

use crate::error::{Error, ErrorCode, UserError};

/// Why a bonus file cannot be unpacked. Its text is for people.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// No bytes, or only blanks.
    #[error("The file is empty.")]
    Empty,
    /// A picture, a spreadsheet, an archive, or something else that is not text.
    #[error(
        "The file is not text. Send one phone number a line, CSV or NDJSON, in UTF-8 or in UTF-16 with a byte order \
         mark. Of compressed files, gzip is accepted; save a spreadsheet as CSV."
    )]
    NotText,
    /// The gzip data end too early or are damaged.
    #[error("The file is damaged: its gzip data cannot be unpacked to the end.")]
    DamagedGzip,
    /// More unpacked bytes than allowed.
    #[error("The file is too large: unpacked, it may have at most {max_bytes} bytes.")]
    TooLarge {
        /// How many are allowed.
        max_bytes: u64,
    },
    /// The file cannot be read, or the unpacked content cannot be written.
    #[error("The file could not be read.")]
    Io(#[source] io::Error),
}

impl From<UnpackError> for Error {
    /// BAD_USER_INPUT or UPLOAD_TOO_LARGE at `file`, or an internal error.
    fn from(error: UnpackError) -> Self {
        let code = match error {
            UnpackError::Io(cause) => return Self::internal(cause),
            UnpackError::TooLarge { .. } => ErrorCode::UploadTooLarge,
            UnpackError::Empty | UnpackError::NotText | UnpackError::DamagedGzip => {
                ErrorCode::BadUserInput
            }
        };
        UserError::new(code, error.to_string()).for_field("file").into()
    }
}
